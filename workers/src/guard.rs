//! Lets in only who knows the secret.

use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// How the secret is shown.
const SCHEME: &[u8] = b"Bearer ";

/// Stands before a service.
#[derive(Clone, Default)]
pub(crate) struct Guard(Option<Arc<SecretString>>);

impl Guard {
    /// Wants this secret; without one everybody is let in.
    pub(crate) fn new(token: Option<SecretString>) -> Self {
        Self(token.map(Arc::new))
    }

    fn admits(&self, shown: Option<&[u8]>) -> bool {
        let Some(token) = &self.0 else {
            return true;
        };
        let Some((scheme, shown)) = shown.and_then(|shown| shown.split_at_checked(SCHEME.len()))
        else {
            return false;
        };
        // However much of it is right, the comparison takes the same time.
        let is_right = shown.ct_eq(token.expose_secret().as_bytes());
        scheme.eq_ignore_ascii_case(SCHEME) && bool::from(is_right)
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization");
        match self.admits(shown.map(|value| value.as_bytes())) {
            true => Ok(request),
            false => Err(Status::unauthenticated(
                "this worker wants the token that it was started with; set cluster.token to it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_right() {
        let guard = Guard::new(Some("secret".to_owned().into()));
        assert!(guard.admits(Some(b"Bearer secret")));
        assert!(guard.admits(Some(b"bearer secret")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "secret",
            "Bearer secre",
            "Bearer secrets",
            "Bearer Secret",
            "Bearer  secret",
            "Basic  secret",
        ] {
            assert!(!guard.admits(Some(wrong.as_bytes())), "{wrong:?}");
        }
        assert!(!guard.admits(None));
        assert!(Guard::default().admits(None));
    }
}
