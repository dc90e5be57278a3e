//! How every setting is read and written, one row each.

use super::{Kind, Kinds, Mode, Policy};
use crate::time::whole_ms;
use std::time::Duration;

pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) expected: &'static str,
    pub(super) get: fn(&Policy) -> String,
    pub(super) set: fn(&mut Policy, &str) -> Option<()>,
}

const MS: &str = "whole milliseconds";
const MS_OR_OFF: &str = "whole milliseconds (at least 1) or off";
const SWITCH: &str = "on or off";

/// One row for each field of [`Policy`], in the same order.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mode",
        expected: "duplex, mute or manual",
        get: |p| mode_name(p.mode).into(),
        set: set_mode,
    },
    Setting {
        key: "greeting",
        expected: SWITCH,
        get: |p| switch_name(p.greeting),
        set: |p, v| put(&mut p.greeting, switch(v)),
    },
    Setting {
        key: "goodbye",
        expected: SWITCH,
        get: |p| switch_name(p.goodbye),
        set: |p, v| put(&mut p.goodbye, switch(v)),
    },
    Setting {
        key: "uninterruptible",
        expected: "none, or some of reply,greeting,reprompt,goodbye,text",
        get: |p| p.uninterruptible.to_string(),
        set: |p, v| put(&mut p.uninterruptible, kinds(v)),
    },
    Setting {
        key: "end_of_turn_ms",
        expected: MS,
        get: |p| ms(p.end_of_turn),
        set: |p, v| put(&mut p.end_of_turn, duration(v)),
    },
    Setting {
        key: "end_of_turn_min_ms",
        expected: MS,
        get: |p| ms(p.end_of_turn_min),
        set: |p, v| put(&mut p.end_of_turn_min, duration(v)),
    },
    Setting {
        key: "end_of_turn_max_ms",
        expected: MS,
        get: |p| ms(p.end_of_turn_max),
        set: |p, v| put(&mut p.end_of_turn_max, duration(v)),
    },
    Setting {
        key: "final_timeout_ms",
        expected: MS,
        get: |p| ms(p.final_timeout),
        set: |p, v| put(&mut p.final_timeout, duration(v)),
    },
    Setting {
        key: "overlap_ms",
        expected: MS,
        get: |p| ms(p.overlap),
        set: |p, v| put(&mut p.overlap, duration(v)),
    },
    Setting {
        key: "resume_after_ms",
        expected: MS,
        get: |p| ms(p.resume_after),
        set: |p, v| put(&mut p.resume_after, duration(v)),
    },
    Setting {
        key: "prepare_timeout_ms",
        expected: MS,
        get: |p| ms(p.prepare_timeout),
        set: |p, v| put(&mut p.prepare_timeout, duration(v)),
    },
    Setting {
        key: "goodbye_timeout_ms",
        expected: MS,
        get: |p| ms(p.goodbye_timeout),
        set: |p, v| put(&mut p.goodbye_timeout, duration(v)),
    },
    Setting {
        key: "reprompt_after_ms",
        expected: MS_OR_OFF,
        get: |p| limit_ms(p.reprompt_after),
        set: |p, v| put(&mut p.reprompt_after, limit(v)),
    },
    Setting {
        key: "reprompts",
        expected: "a number from 0 to 100",
        get: |p| p.reprompts.to_string(),
        set: set_reprompts,
    },
    Setting {
        key: "idle_timeout_ms",
        expected: MS_OR_OFF,
        get: |p| limit_ms(p.idle_timeout),
        set: |p, v| put(&mut p.idle_timeout, limit(v)),
    },
    Setting {
        key: "duration_limit_ms",
        expected: MS_OR_OFF,
        get: |p| limit_ms(p.duration_limit),
        set: |p, v| put(&mut p.duration_limit, limit(v)),
    },
    Setting {
        key: "message_limit",
        expected: "a number from 1 up or off",
        get: |p| {
            p.message_limit
                .map_or_else(|| "off".into(), |n| n.to_string())
        },
        set: |p, v| {
            put(
                &mut p.message_limit,
                if v == "off" {
                    Some(None)
                } else {
                    v.parse().ok().map(Some)
                },
            )
        },
    },
];

fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn set_mode(policy: &mut Policy, value: &str) -> Option<()> {
    policy.mode = [Mode::Duplex, Mode::Mute, Mode::Manual]
        .into_iter()
        .find(|mode| mode_name(*mode) == value)?;
    Some(())
}

fn set_reprompts(policy: &mut Policy, value: &str) -> Option<()> {
    policy.reprompts = value.parse().ok().filter(|count| *count <= 100)?;
    Some(())
}

pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Duplex => "duplex",
        Mode::Mute => "mute",
        Mode::Manual => "manual",
    }
}

fn switch_name(on: bool) -> String {
    if on { "on" } else { "off" }.into()
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn kinds(value: &str) -> Option<Kinds> {
    if value == "none" {
        return Some(Kinds::default());
    }
    let named = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
    value
        .split(',')
        .map(named)
        .collect::<Option<Vec<_>>>()
        .map(|kinds| Kinds::of(&kinds))
}

fn ms(duration: Duration) -> String {
    whole_ms(duration).to_string()
}

fn duration(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

fn limit_ms(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "off".into(), ms)
}

fn limit(value: &str) -> Option<Option<Duration>> {
    if value == "off" {
        Some(None)
    } else {
        duration(value).filter(|limit| !limit.is_zero()).map(Some)
    }
}
