//! What the thread of a model is called.

/// Linux shows so much of a thread's name.
const MOST_BYTES: usize = 15;

/// The name of the thread that says what a model of an engine has to say on this GPU, or on the processor; `model` is empty where
/// an engine has but one. In full it is `parlor-piper-gpu0-en_US-lessac-medium`. Where that is too long it loses what tells least, first the program's name, then the
/// model's language, then the end, so that two voices of an engine are still told apart: `piper0-lessac-m`.
pub(crate) fn thread_name(engine: &str, gpu: Option<u32>, model: &str) -> String {
    let full = joined("-", &["parlor", engine, &on("gpu", gpu), model]);
    if full.len() <= MOST_BYTES {
        return full;
    }
    let place = format!("{engine}{}", on("", gpu));
    let whole = joined("-", &[&place, model]);
    if whole.len() <= MOST_BYTES {
        return whole;
    }
    let mut name = joined("-", &[&place, without_language(model)]);
    while name.len() > MOST_BYTES {
        name.pop();
    }
    name
}

fn on(word: &str, gpu: Option<u32>) -> String {
    gpu.map_or_else(String::new, |gpu| format!("{word}{gpu}"))
}

fn joined(between: &str, parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(between)
}

/// `lessac-medium` of `en_US-lessac-medium`.
fn without_language(model: &str) -> &str {
    match model.split_once('-') {
        Some((language, rest)) if (2..=6).contains(&language.len()) && !rest.is_empty() => rest,
        _ => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_tells_engine_gpu_and_voice() {
        for (engine, gpu, model, name) in [
            ("flite", None, "", "parlor-flite"),
            ("espeak", None, "", "parlor-espeak"),
            ("piper", Some(0), "amy", "piper0-amy"),
            ("piper", None, "a", "parlor-piper-a"),
            ("piper", Some(0), "en_US-lessac-medium", "piper0-lessac-m"),
            ("piper", Some(1), "en_US-lessac-medium", "piper1-lessac-m"),
            ("piper", None, "en_US-amy-low", "piper-amy-low"),
            ("kokoro", Some(0), "v1.0", "kokoro0-v1.0"),
            ("kokoro", None, "größerer-Name", "kokoro-größer"),
        ] {
            let got = thread_name(engine, gpu, model);
            assert_eq!(got, name);
            assert!(got.len() <= MOST_BYTES, "{got}");
        }
    }
}
