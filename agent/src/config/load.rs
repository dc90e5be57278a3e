//! Reads the settings from all their sources and names every problem at once, each with where it stands.

use super::given::{self, Given};
use super::{Config, ResponderKind};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider as _};
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Where to read from.
#[derive(Debug, Default)]
pub struct Source {
    /// `--config`; an error if it is not there.
    pub file: Option<PathBuf>,
    /// `--set key=value` and the flags that stand for one, last.
    pub flags: Vec<(String, String)>,
}

/// The settings and where they came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings, valid.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    figment: Figment,
    filled: Vec<Filled>,
}

/// A key that another program's variable of the environment filled, and the variable.
type Filled = (&'static str, &'static str);

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, bullet(.0))]
pub struct Problems(pub Vec<String>);

fn bullet(problems: &[String]) -> String {
    problems
        .iter()
        .map(|problem| format!("  - {problem}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl Loaded {
    /// Every key with its value and source, secrets masked.
    pub fn effective(&self) -> Vec<(String, String, String)> {
        let Ok(value) = Value::serialize(&self.config) else {
            return Vec::new();
        };
        let mut leaves = Vec::new();
        collect("", &value, &mut leaves);
        leaves
            .into_iter()
            .map(|(key, value)| {
                let variable = self.filled.iter().find(|(filled, _)| *filled == key);
                let source = match variable {
                    Some((_, variable)) => format!("the environment variable {variable}"),
                    None => self
                        .figment
                        .find_metadata(&key)
                        .map_or("default".into(), given::place),
                };
                (key, value, source)
            })
            .collect()
    }
}

/// Reads and checks the settings.
///
/// # Errors
/// [`Problems`] with every unknown key, every value of the wrong type and every rule that is broken.
pub fn load(source: &Source) -> Result<Loaded, Problems> {
    let file = find_file(source)?;
    let mut figment = Figment::from(Given::defaults());
    if let Some(file) = &file {
        figment = figment.merge(Given::file(file).map_err(|problem| Problems(vec![problem]))?);
    }
    for variable in Given::environment() {
        figment = figment.merge(variable);
    }
    for (key, value) in &source.flags {
        figment = figment.merge(Given::flag(key, value));
    }
    let mut problems = problems_of(&figment);
    let config = match figment.extract::<Config>() {
        Ok(config) => config,
        Err(error) => {
            if problems.is_empty() {
                problems.push(describe(&error));
            }
            return Err(Problems(problems));
        }
    };
    let (config, filled) = with_well_known_environment(config);
    problems.extend(config.validate());
    if problems.is_empty() {
        Ok(Loaded {
            config,
            file,
            figment,
            filled,
        })
    } else {
        Err(Problems(problems))
    }
}

fn find_file(source: &Source) -> Result<Option<PathBuf>, Problems> {
    let named = source
        .file
        .clone()
        .or_else(|| std::env::var_os("PARLOR_CONFIG").map(PathBuf::from));
    if let Some(file) = named {
        return if file.is_file() {
            Ok(Some(file))
        } else {
            Err(Problems(vec![format!(
                "cannot read {}: there is no such file",
                file.display()
            )]))
        };
    }
    let usual = [
        Path::new("parlor.toml"),
        Path::new("/etc/parlor/config.toml"),
    ];
    Ok(usual
        .into_iter()
        .find(|path| path.is_file())
        .map(Path::to_owned))
}

/// Checks every given key by itself, because reading the whole struct stops at the first error.
fn problems_of(figment: &Figment) -> Vec<String> {
    let given = match figment.data() {
        Ok(data) => data.get(&Profile::Default).cloned().unwrap_or_default(),
        Err(error) => return error.into_iter().map(|error| describe(&error)).collect(),
    };
    let mut leaves = Vec::new();
    collect_values("", &given, &mut leaves);
    leaves
        .into_iter()
        .filter_map(|(key, value)| {
            let place = figment
                .get_metadata(value.tag())
                .map_or_else(String::new, given::place);
            let error = given::alone(&key, value)?;
            Some(format!("{key}: {} ({place})", reason(&key, &error)))
        })
        .collect()
}

fn collect_values(prefix: &str, dict: &Dict, leaves: &mut Vec<(String, Value)>) {
    for (key, value) in dict {
        let key = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => collect_values(&key, inner, leaves),
            value => leaves.push((key, value.clone())),
        }
    }
}

fn collect(prefix: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Dict(_, inner) if !inner.is_empty() => {
            for (key, value) in inner {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                collect(&key, value, leaves);
            }
        }
        value => {
            let shown = serde_json::to_string(value).unwrap_or_else(|_| "?".into());
            leaves.push((prefix.to_owned(), shown));
        }
    }
}

fn describe(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let place = error.metadata.as_ref().map(given::place);
    match (key.is_empty(), place) {
        (true, None) => reason(&key, error),
        (true, Some(place)) => format!("{place}: {}", reason(&key, error)),
        (false, None) => format!("{key}: {}", reason(&key, error)),
        (false, Some(place)) => format!("{key}: {} ({place})", reason(&key, error)),
    }
}

fn reason(key: &str, error: &figment::Error) -> String {
    use figment::error::Kind;
    match &error.kind {
        Kind::UnknownField(field, known) => {
            let nearest = known.iter().max_by_key(|name| likeness(field, name));
            match nearest {
                Some(name) if likeness(field, name) * 2 >= name.len() => {
                    format!("there is no setting \"{field}\"; did you mean \"{name}\"?")
                }
                _ => format!(
                    "there is no setting \"{field}\"; known here are {}",
                    known.join(", ")
                ),
            }
        }
        // Anything else quotes the value.
        _ if given::is_secret(key) => "must be one text".into(),
        kind => kind.to_string(),
    }
}

/// How many letters two names share at their beginning and end.
fn likeness(one: &str, other: &str) -> usize {
    let front = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let back = one
        .bytes()
        .rev()
        .zip(other.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    (front + back).min(one.len().min(other.len()))
}

/// Variables that other programs use too fill what the settings leave open.
fn with_well_known_environment(mut config: Config) -> (Config, Vec<Filled>) {
    let mut filled = Vec::new();
    let well_known = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let livekit = &mut config.livekit;
    for (setting, key, name) in [
        (&mut livekit.url, "livekit.url", "LIVEKIT_URL"),
        (&mut livekit.api_key, "livekit.api_key", "LIVEKIT_API_KEY"),
        (
            &mut livekit.agent_name,
            "livekit.agent_name",
            "LIVEKIT_AGENT_NAME",
        ),
    ] {
        if setting.is_empty()
            && let Some(value) = well_known(name)
        {
            *setting = value;
            filled.push((key, name));
        }
    }
    if livekit.api_secret.is_none()
        && let Some(secret) = well_known("LIVEKIT_API_SECRET")
    {
        livekit.api_secret = Some(SecretString::from(secret));
        filled.push(("livekit.api_secret", "LIVEKIT_API_SECRET"));
    }
    if config.cluster.redis.is_none()
        && let Some(url) = well_known("REDIS_URL")
    {
        config.cluster.redis = Some(SecretString::from(url));
        filled.push(("cluster.redis", "REDIS_URL"));
    }
    if config.cluster.token.is_none()
        && let Some(token) = well_known("PARLOR_WORKER_TOKEN")
    {
        config.cluster.token = Some(SecretString::from(token));
        filled.push(("cluster.token", "PARLOR_WORKER_TOKEN"));
    }
    if config.responder.kind == ResponderKind::OpenAi {
        if config.responder.base_url.is_empty()
            && let Some(url) = well_known("OPENAI_BASE_URL")
        {
            config.responder.base_url = url;
            filled.push(("responder.base_url", "OPENAI_BASE_URL"));
        }
        if config.responder.api_key.is_none()
            && let Some(key) = well_known("OPENAI_API_KEY")
        {
            config.responder.api_key = Some(SecretString::from(key));
            filled.push(("responder.api_key", "OPENAI_API_KEY"));
        }
    }
    (config, filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn load_text(toml: &str) -> Result<Loaded, Problems> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("parlor.toml");
        std::fs::write(&file, toml).unwrap();
        load(&Source {
            file: Some(file),
            flags: Vec::new(),
        })
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let loaded = load_text("").unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(loaded.config.vad.noise_gate.window_size, 100);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let Problems(problems) = load_text(
            "[server]\nlisten = \"nowhere\"\nmax_session = 3\n[vad.noise_gate]\nwindowsize = 1\n[turn]\nmode = \"sing\"\n",
        )
        .unwrap_err();
        let all = problems.join("\n");
        assert_eq!(problems.len(), 4, "{all}");
        for part in ["server.listen", "max_sessions", "window_size", "turn.mode"] {
            assert!(all.contains(part), "{part} is missing in {all}");
        }
    }

    #[test]
    fn rules_between_values_are_checked() {
        let Problems(problems) =
            load_text("[responder]\nkind = \"openai\"\nretries = 2\n").unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("responder.model")),
            "{problems:?}"
        );
    }

    #[test]
    fn flags_win_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("parlor.toml");
        std::fs::write(&file, "[server]\nmax_sessions = 3\n").unwrap();
        let flags = vec![("server.max_sessions".to_owned(), "7".to_owned())];
        let loaded = load(&Source {
            file: Some(file),
            flags,
        })
        .unwrap();
        assert_eq!(loaded.config.server.max_sessions, 7);
    }

    #[test]
    fn texts_may_look_like_numbers() {
        let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let loaded = load(&Source {
            file: None,
            flags: vec![
                flag("server.api_key", "0123456789"),
                flag("responder.model", "4.10"),
                flag("turn.goodbye", "true"),
                flag("stt.script", "[1, two]"),
                flag("server.max_sessions", "7"),
            ],
        })
        .unwrap();
        let key = loaded.config.server.api_key.unwrap();
        assert_eq!(key.expose_secret(), "0123456789");
        assert_eq!(loaded.config.responder.model, "4.10");
        assert_eq!(loaded.config.turn.goodbye, "true");
        assert_eq!(loaded.config.stt.script, ["1", "two"]);
        assert_eq!(loaded.config.server.max_sessions, 7);
        let loaded =
            load_text("[server]\napi_key = 123456\n[turn]\ngreeting = 2001-01-01\n").unwrap();
        let key = loaded.config.server.api_key.unwrap();
        assert_eq!(key.expose_secret(), "123456");
        assert_eq!(loaded.config.turn.greeting, "2001-01-01");
    }

    #[test]
    fn a_secret_is_never_quoted() {
        for toml in [
            "[server]\napi_key = [\"very-secret\"]\n",
            "[server.api_key]\nvalue = \"very-secret\"\n",
            "[responder]\napi_key = { a = \"very-secret\" }\n",
            "[server]\napi_key = very-secret\n",
            "[livekit]\napi_secret = [\"very-secret\"]\n",
            "[livekit]\napi_secret = \"very-secret\"\n",
            "[server]\napi_key = 01234-very-secret\n",
            "server = \"very-secret\"\n",
            "[server]\napi_key = \"very-secret\"\napi_key = \"very-secret\"\n",
        ] {
            let Problems(problems) = load_text(toml).unwrap_err();
            assert!(!problems.is_empty());
            assert!(
                !problems
                    .iter()
                    .any(|problem| problem.contains("very-secret")),
                "{toml}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_problem_names_the_place_where_people_wrote_it() {
        let Problems(problems) = load_text("[server]\nmax_sessions = \"many\"\n").unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("parlor.toml")),
            "{problems:?}"
        );
        let Problems(problems) = load(&Source {
            file: None,
            flags: vec![("server.max_sessions".into(), "many".into())],
        })
        .unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("--set server.max_sessions")
                    && !problem.contains(".rs")),
            "{problems:?}"
        );
        let Problems(problems) = load_text("[server]\nmax_sessions = 3\n\nlisten =\n").unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.contains("line 4")),
            "{problems:?}"
        );
    }

    #[test]
    fn the_effective_settings_say_where_each_comes_from() {
        let loaded = load_text("[server]\nmax_sessions = 3\n").unwrap();
        let effective = loaded.effective();
        let source = |wanted: &str| {
            let found = effective.iter().find(|(key, ..)| key == wanted);
            found.map(|(_, _, source)| source.clone()).unwrap()
        };
        assert!(source("server.max_sessions").ends_with("parlor.toml"));
        assert_eq!(source("server.drain_seconds"), "default");
    }

    #[test]
    fn settings_that_no_call_can_work_with_are_all_refused() {
        let Problems(problems) = load_text(
            "[tts]\nadapters = []\nmax_sessions = 0\n[model_manager]\nresident_cap = 0\nmax_parallel_loads = 0\n[server]\napi_key = \"\"\n",
        )
        .unwrap_err();
        let all = problems.join("\n");
        for key in [
            "tts.adapters",
            "tts.max_sessions",
            "model_manager.resident_cap",
            "model_manager.max_parallel_loads",
            "server.api_key",
        ] {
            assert!(all.contains(key), "{key} is missing in {all}");
        }
        let Problems(problems) =
            load_text("[tts]\nadapters = [\"mock\"]\ndefault_voice = \"flite:slt\"\n").unwrap_err();
        assert!(problems[0].contains("tts.default_voice"), "{problems:?}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let loaded = load_text(
            "[server]\napi_key = \"very-secret\"\n[livekit]\nurl = \"ws://a\"\napi_key = \"k\"\napi_secret = \"very-secret\"\n",
        )
        .unwrap();
        assert!(!format!("{:?}", loaded.config).contains("very-secret"));
        assert!(
            !loaded
                .effective()
                .iter()
                .any(|(_, value, _)| value.contains("very-secret"))
        );
    }
}
