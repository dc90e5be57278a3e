//! Tables: who is there, what is wished for, who is asked in which order.

use super::*;
use std::collections::BTreeMap;

/// A worker and what the agent knows of it.
#[derive(Clone)]
struct Known {
    record: WorkerRecord,
    is_embedded: bool,
    is_near: bool,
    is_admitted: bool,
    open: u32,
    served: u64,
}

fn tts(name: &str) -> Known {
    let mut record = WorkerRecord {
        name: name.into(),
        addr: format!("grpc://{name}:7001"),
        resident_models: vec!["a".into()],
        ..WorkerRecord::default()
    };
    record.capabilities.models = vec!["a".into(), "b".into()];
    record.capabilities.languages = vec!["en-US".into()];
    record.capabilities.voices =
        BTreeMap::from([("x:ann".into(), "a".into()), ("x:bob".into(), "b".into())]);
    Known {
        record,
        is_embedded: false,
        is_near: false,
        is_admitted: true,
        open: 0,
        served: 0,
    }
}

fn stt(name: &str) -> Known {
    let mut worker = tts(name);
    worker.record.capabilities.kind = RecordKind::Stt;
    worker.record.capabilities.voices.clear();
    worker
}

impl Known {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn metric(self, name: &str, value: f64) -> Self {
        self.with(|it| {
            it.record.metrics.insert(name.into(), value);
        })
    }
}

fn names<'a>(wish: &Wish, known: &'a [Known]) -> Vec<(&'a str, Fit)> {
    let members: Vec<Member<'_>> = known
        .iter()
        .map(|it| Member {
            record: &it.record,
            is_embedded: it.is_embedded,
            is_near: it.is_near,
            is_admitted: it.is_admitted,
            open: it.open,
            served: it.served,
        })
        .collect();
    rank(wish, &members)
        .into_iter()
        .map(|choice| (known[choice.index].record.name.as_str(), choice.fit))
        .collect()
}

fn order(wish: &Wish, known: &[Known]) -> String {
    let names: Vec<_> = names(wish, known)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.join(" ")
}

fn any() -> Wish {
    Wish::default()
}

fn voice(voice: &str) -> Wish {
    Wish {
        voice: voice.into(),
        ..any()
    }
}

#[test]
fn who_cannot_do_it_is_not_asked() {
    let known = [
        tts("able"),
        stt("hears"),
        tts("draining").metric(metric::DRAINING, 1.0),
        tts("failed").with(|it| it.is_admitted = false),
        tts("german").with(|it| it.record.capabilities.languages = vec!["de".into()]),
    ];
    let english = Wish {
        language: "en".into(),
        ..any()
    };
    assert_eq!(order(&english, &known), "able");
    let cloning = Wish {
        zero_shot: true,
        ..any()
    };
    assert_eq!(order(&cloning, &known), "");
    let hears = Wish {
        kind: RecordKind::Stt,
        ..any()
    };
    assert_eq!(order(&hears, &known), "hears");
}

#[test]
fn each_rule_decides_when_those_before_it_do_not() {
    let affine = Wish {
        affinity: Some("two".into()),
        ..any()
    };
    let table: [(&str, Wish, Known, Known); 9] = [
        (
            "resident before loadable",
            any(),
            tts("one").with(|it| it.record.resident_models.clear()),
            tts("two").metric(metric::QUEUE_DEPTH, 9.0),
        ),
        (
            "far before inside",
            any(),
            tts("one").with(|it| it.is_embedded = true),
            tts("two").metric(metric::QUEUE_DEPTH, 9.0),
        ),
        (
            "a free slot before none",
            any(),
            tts("one").metric(metric::SLOTS, 2.0).with(|it| it.open = 2),
            tts("two").metric(metric::QUEUE_DEPTH, 9.0),
        ),
        (
            "the call's own before another",
            affine,
            tts("one"),
            tts("two").metric(metric::QUEUE_DEPTH, 9.0),
        ),
        (
            "the shorter queue",
            any(),
            tts("one").metric(metric::QUEUE_DEPTH, 2.0),
            tts("two").metric(metric::P50_MS, 500.0),
        ),
        (
            "fewer sessions, also those that the record cannot know yet",
            any(),
            tts("one").with(|it| it.open = 1),
            tts("two").metric(metric::P50_MS, 500.0),
        ),
        (
            "the faster",
            any(),
            tts("one").metric(metric::P50_MS, 300.0),
            tts("two").metric(metric::P50_MS, 100.0),
        ),
        (
            "the nearer, where speeds differ by noise only",
            any(),
            tts("one").metric(metric::P50_MS, 100.0),
            tts("two")
                .metric(metric::P50_MS, 105.0)
                .with(|it| it.is_near = true),
        ),
        (
            "who has served less",
            any(),
            tts("one").with(|it| it.served = 1),
            tts("two"),
        ),
    ];
    for (rule, wish, one, two) in table {
        assert_eq!(
            order(&wish, &[one.clone(), two.clone()]),
            "two one",
            "{rule}"
        );
        assert_eq!(order(&wish, &[two, one]), "two one", "{rule}");
    }
}

#[test]
fn a_voice_is_found_where_it_is_and_replaced_where_it_is_not() {
    let other = tts("other").with(|it| {
        it.record.capabilities.voices = BTreeMap::from([("y:eve".into(), "a".into())]);
    });
    let known = [tts("has"), other];
    assert_eq!(
        names(&voice("x:ann"), &known),
        [("has", Fit::Resident), ("other", Fit::OtherVoice)]
    );
    assert_eq!(
        names(&voice("x:bob"), &known),
        [("has", Fit::Loadable), ("other", Fit::OtherVoice)]
    );
    assert_eq!(names(&voice("y"), &known)[0], ("other", Fit::Resident));
    assert_eq!(
        names(&voice("z:zoe"), &known),
        [("has", Fit::OtherVoice), ("other", Fit::OtherVoice)]
    );
}

#[test]
fn a_recogniser_of_another_model_is_no_replacement() {
    let wish = Wish {
        kind: RecordKind::Stt,
        model: "whisper-large".into(),
        ..any()
    };
    assert_eq!(order(&wish, &[stt("small")]), "");
    let silent = stt("silent").with(|it| it.record.capabilities.models.clear());
    assert_eq!(names(&wish, &[silent])[0].1, Fit::Loadable);
}

#[test]
fn an_earlier_systems_worker_that_lists_nothing_is_used() {
    let record = WorkerRecord {
        name: "old".into(),
        addr: "grpc://old:7001".into(),
        ..WorkerRecord::default()
    };
    let old = tts("old").with(|it| it.record = record);
    assert_eq!(names(&any(), &[old]), [("old", Fit::Resident)]);
}
