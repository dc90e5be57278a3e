//! The `[livekit]` settings.

use super::masked;
use media::link::livekit::token::Keys;
use reqwest::Url;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The LiveKit server whose rooms the agent joins. It is used once `url`, `api_key` and `api_secret` are set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiveKit {
    /// Its address, like `ws://localhost:7880`; `LIVEKIT_URL` where empty.
    pub url: String,
    /// Its address as pages are told it, where that is another; empty for `url`.
    pub public_url: String,
    /// The key to its API; `LIVEKIT_API_KEY` where empty.
    pub api_key: String,
    /// The secret of that key; `LIVEKIT_API_SECRET` where missing.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub api_secret: Option<SecretString>,
    /// What the agent is called: with a name it joins rooms that ask for it, without one it joins every room;
    /// `LIVEKIT_AGENT_NAME` where empty.
    pub agent_name: String,
    /// Whether the server may give rooms to this program. Off: only `parlor join` takes part in rooms.
    pub dispatch: bool,
    /// How long the agent stays in a room that everybody has left, in seconds: whoever reloads the page finds it there. LiveKit's
    /// servers close such a room after twenty.
    pub stay_seconds: u64,
    /// Whether `POST /api/token` and `/api/connection-details` hand out tokens for rooms.
    pub tokens: bool,
    /// How long such a token is good for joining, in seconds, 10 to 86400.
    pub token_seconds: u64,
    /// How many such tokens one address may have a minute. Behind a proxy all callers have the proxy's address.
    pub tokens_per_minute: u32,
}

impl Default for LiveKit {
    fn default() -> Self {
        Self {
            url: String::new(),
            public_url: String::new(),
            api_key: String::new(),
            api_secret: None,
            agent_name: String::new(),
            dispatch: true,
            stay_seconds: 15,
            tokens: true,
            token_seconds: 600,
            tokens_per_minute: 30,
        }
    }
}

impl LiveKit {
    /// Whether there is a LiveKit server to work with.
    pub fn is_configured(&self) -> bool {
        !self.url.is_empty() && self.keys().is_some()
    }

    /// What signs tokens, where it is set.
    pub fn keys(&self) -> Option<Keys> {
        let api_secret = self.api_secret.clone()?;
        (!self.api_key.is_empty()).then(|| Keys {
            api_key: self.api_key.clone(),
            api_secret,
        })
    }

    /// The server's address for pages.
    pub fn page_url(&self) -> &str {
        if self.public_url.is_empty() {
            &self.url
        } else {
            &self.public_url
        }
    }

    /// Whom pages ask over HTTP, where they are told of the server: `https://host[:port]`.
    pub fn page_origin(&self) -> Option<String> {
        let url = Url::parse(&over_http(self.page_url())).ok()?;
        (self.is_configured() && self.tokens).then(|| url.origin().ascii_serialization())
    }

    /// The address of a path of the server's HTTP API, which answers where its WebSocket does.
    pub fn api_url(&self, path: &str) -> String {
        format!("{}{path}", over_http(self.url.trim_end_matches('/')))
    }

    pub(super) fn check(&self, must: &mut impl FnMut(bool, &str, &str)) {
        for (key, url) in [
            ("livekit.url", &self.url),
            ("livekit.public_url", &self.public_url),
        ] {
            must(
                url.is_empty() || is_address(url),
                key,
                "the LiveKit server's address, like ws://localhost:7880 or wss://rooms.example.org, or empty",
            );
        }
        let missing = [
            (self.url.is_empty(), "livekit.url", "LIVEKIT_URL"),
            (
                self.api_key.is_empty(),
                "livekit.api_key",
                "LIVEKIT_API_KEY",
            ),
            (
                self.api_secret.is_none(),
                "livekit.api_secret",
                "LIVEKIT_API_SECRET",
            ),
        ];
        // One without the others is a mistake that would otherwise show as a room that stays silent.
        let some_are_set = missing.iter().any(|(missing, ..)| !missing);
        for (is_missing, key, variable) in missing {
            must(
                !(some_are_set && is_missing),
                key,
                &format!(
                    "set too, as {variable} does, or none of livekit.url, api_key and api_secret"
                ),
            );
        }
        must(
            (10..=86_400).contains(&self.token_seconds),
            "livekit.token_seconds",
            "10 to 86400 seconds",
        );
        must(
            self.stay_seconds <= 3600,
            "livekit.stay_seconds",
            "0 to 3600 seconds",
        );
        must(
            self.tokens_per_minute >= 1,
            "livekit.tokens_per_minute",
            "at least 1; to hand out none set livekit.tokens=false",
        );
    }
}

fn over_http(url: &str) -> String {
    match url.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(_) | None => url.to_owned(),
    }
}

/// Whether it is an address of a server, and of nothing in it. Credentials in it would be told to pages.
fn is_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "ws" | "wss" | "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> LiveKit {
        LiveKit {
            url: "ws://localhost:7880".into(),
            api_key: "devkey".into(),
            api_secret: Some("very-secret".to_owned().into()),
            ..LiveKit::default()
        }
    }

    fn problems(livekit: &LiveKit) -> Vec<String> {
        let mut problems = Vec::new();
        livekit.check(&mut |holds, key, rule| {
            if !holds {
                problems.push(format!("{key} must be {rule}"));
            }
        });
        problems
    }

    #[test]
    fn all_three_or_none_are_set_and_the_missing_one_is_named() {
        assert!(problems(&LiveKit::default()).is_empty());
        assert!(problems(&configured()).is_empty());
        assert!(configured().is_configured() && !LiveKit::default().is_configured());
        let without_secret = LiveKit {
            api_secret: None,
            ..configured()
        };
        let named = problems(&without_secret);
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named[0].starts_with("livekit.api_secret"), "{named:?}");
        assert!(named[0].contains("LIVEKIT_API_SECRET"), "{named:?}");
        let only_secret = LiveKit {
            url: String::new(),
            api_key: String::new(),
            ..configured()
        };
        assert_eq!(problems(&only_secret).len(), 2);
        let named = LiveKit {
            agent_name: "parlor".into(),
            ..LiveKit::default()
        };
        assert!(problems(&named).is_empty(), "a name alone asks for nothing");
    }

    #[test]
    fn only_a_servers_address_is_one() {
        for url in ["wss://rooms.example", "http://[::1]:7880", "ws://a:1/sub/"] {
            let url = url.to_owned();
            assert!(
                problems(&LiveKit {
                    url,
                    ..configured()
                })
                .is_empty()
            );
        }
        for url in [
            "localhost:7880",
            "ftp://localhost",
            "ws://",
            "ws://me:hidden@localhost",
            "ws://localhost?a=hidden",
        ] {
            let url = url.to_owned();
            let found = problems(&LiveKit {
                url,
                ..configured()
            });
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("livekit.url must"), "{found:?}");
            assert!(!found[0].contains("hidden"), "{found:?}");
        }
    }

    #[test]
    fn tokens_are_short_lived_and_counted() {
        for (token_seconds, tokens_per_minute) in [(9, 1), (86_401, 1), (10, 0)] {
            let settings = LiveKit {
                token_seconds,
                tokens_per_minute,
                ..LiveKit::default()
            };
            assert_eq!(problems(&settings).len(), 1, "{settings:?}");
        }
    }

    #[test]
    fn the_api_answers_where_the_websocket_does() {
        let at = |url: &str| LiveKit {
            url: url.into(),
            ..configured()
        };
        let origin = at("ws://a:7880/below").page_origin();
        assert_eq!(origin.unwrap(), "http://a:7880");
        assert_eq!(at("ws://a:7880/").api_url("/x"), "http://a:7880/x");
        assert_eq!(at("wss://a").api_url("/x"), "https://a/x");
        assert_eq!(at("https://a").api_url("/"), "https://a/");
        assert_eq!(configured().page_url(), "ws://localhost:7880");
        let public = LiveKit {
            public_url: "wss://a".into(),
            ..configured()
        };
        assert_eq!(public.page_url(), "wss://a");
        assert_eq!(public.page_origin().unwrap(), "https://a");
        assert_eq!(LiveKit::default().page_origin(), None);
    }
}
