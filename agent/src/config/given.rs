//! What people gave as settings, and where: a file, variables of the environment, flags.
//!
//! A flag and a variable are text and nothing says of what type. It is read as a value first (`7`, `true`, `[a, b]`) and
//! taken as it stands where the setting wants text: a key may well be all digits.

use super::Config;
use figment::providers::{Env, Serialized};
use figment::util::nest;
use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use std::path::Path;

/// The environment's settings: `PARLOR__SERVER__LISTEN=0.0.0.0:8080`.
const ENV_PREFIX: &str = "PARLOR__";
/// Settings whose values are never shown.
const SECRETS: [&str; 5] = [
    "server.api_key",
    "livekit.api_secret",
    "responder.api_key",
    // The address may hold a password.
    "cluster.redis",
    "cluster.token",
];

/// Settings from one place.
#[derive(Debug, Clone)]
pub struct Given {
    metadata: Metadata,
    values: Dict,
}

impl Given {
    /// The settings' defaults.
    pub fn defaults() -> Self {
        let values = match Value::serialize(Config::default()) {
            Ok(Value::Dict(_, values)) => values,
            // The settings are a struct that can be written.
            Ok(_) | Err(_) => Dict::new(),
        };
        Self {
            metadata: Metadata::named("default"),
            values,
        }
    }

    /// A file's settings.
    ///
    /// # Errors
    /// Why it cannot be read, and in which line; a line itself may hold a secret and is not shown.
    pub fn file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {shown}: {error}"))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            match before {
                Some(before) => {
                    let line = before.matches('\n').count() + 1;
                    format!("{shown}, line {line}: this is no TOML: {}", syntax(&error))
                }
                None => format!("{shown}: this is no TOML: {}", syntax(&error)),
            }
        })?;
        let values = table
            .into_iter()
            .map(|(key, value)| {
                let value = from_toml(value);
                let value = fitting(&key, value);
                (key, value)
            })
            .collect();
        Ok(Self {
            metadata: Metadata::named("file").source(path),
            values,
        })
    }

    /// Each variable of the environment that is a setting.
    pub fn environment() -> Vec<Self> {
        let variables = Env::prefixed(ENV_PREFIX).split("__");
        variables
            .iter()
            .map(|(key, text)| {
                let key = key.as_str();
                let variable = key.to_uppercase().replace('.', "__");
                let place = format!("the environment variable {ENV_PREFIX}{variable}");
                Self::text(key, &text, place)
            })
            .collect()
    }

    /// `--set KEY=TEXT`.
    pub fn flag(key: &str, text: &str) -> Self {
        Self::text(key, text, format!("--set {key}"))
    }

    fn text(key: &str, text: &str, place: String) -> Self {
        let read: Value = text.parse().unwrap_or_else(|never| match never {});
        let value = match alone(key, read.clone()) {
            None => read,
            Some(_) => {
                let whole = Value::from(text);
                match alone(key, whole.clone()) {
                    None => whole,
                    Some(_) => fitting(key, read),
                }
            }
        };
        let values = match nest(key, value) {
            Value::Dict(_, values) => values,
            // A key is never empty, so it names something.
            _ => Dict::new(),
        };
        Self {
            metadata: Metadata::named(place),
            values,
        }
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Where a value was given, in the words of whoever gave it.
pub fn place(metadata: &Metadata) -> String {
    metadata
        .source
        .as_ref()
        .map_or_else(|| metadata.name.to_string(), ToString::to_string)
}

/// What is wrong with one value, were it the only one given.
pub fn alone(key: &str, value: Value) -> Option<Error> {
    Figment::from(Given::defaults())
        .merge(Serialized::default(key, value))
        .extract::<Config>()
        .err()
}

/// Whether the key's value is never to be shown, or holds such a value.
pub fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|secret| {
        let below = |key: &str, of: &str| {
            key.strip_prefix(of)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        key.is_empty() || below(key, secret) || below(secret, key)
    })
}

/// The value, with text instead of numbers where the setting wants text.
fn fitting(key: &str, value: Value) -> Value {
    match value {
        Value::Dict(tag, values) => {
            let values = values.into_iter().map(|(name, value)| {
                let value = fitting(&format!("{key}.{name}"), value);
                (name, value)
            });
            Value::Dict(tag, values.collect())
        }
        value => {
            let text = as_text(&value);
            if alone(key, value.clone()).is_some() && alone(key, text.clone()).is_none() {
                text
            } else {
                value
            }
        }
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Array(tag, items) => Value::Array(*tag, items.iter().map(as_text).collect()),
        Value::Bool(_, yes) => Value::from(yes.to_string()),
        Value::Char(_, char) => Value::from(char.to_string()),
        Value::Num(_, number) => match (number.to_u128(), number.to_i128(), number.to_f64()) {
            (Some(number), _, _) => Value::from(number.to_string()),
            (None, Some(number), _) => Value::from(number.to_string()),
            (None, None, Some(number)) => Value::from(number.to_string()),
            (None, None, None) => value.clone(),
        },
        Value::String(..) | Value::Empty(..) | Value::Dict(..) => value.clone(),
    }
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(yes) => yes.into(),
        // No setting is a date, but a text may look like one.
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => {
            Value::Array(Tag::Default, items.into_iter().map(from_toml).collect())
        }
        toml::Value::Table(values) => Value::Dict(
            Tag::Default,
            values
                .into_iter()
                .map(|(key, value)| (key, from_toml(value)))
                .collect(),
        ),
    }
}

/// The parser's own words, as far as they hold nothing of the file: it quotes with backticks or in lines of their own.
fn syntax(error: &toml::de::Error) -> &str {
    let message = error.message().lines().next().unwrap_or_default();
    if message.contains(['`', '"', '\'']) {
        "it cannot be read"
    } else {
        message
    }
}
