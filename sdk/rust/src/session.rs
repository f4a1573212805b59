//! A login that can be kept between runs.

use proto::admin::LoginResponse;

/// A login: an access token for some minutes and a refresh token that is good once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// For the `authorization` header.
    pub access_token: String,
    /// For the next refresh.
    pub refresh_token: String,
    /// Seconds that the access token lives from when it was given.
    pub lives_s: i64,
    /// Unix seconds at which the access token ends; 0: not known, refresh before use. Set by the keeper with
    /// [`Session::received_at`], since this crate reads no clock.
    pub ends_at: i64,
}

impl Session {
    pub(crate) fn begun(answer: LoginResponse) -> Self {
        Self {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            lives_s: answer.expires_in,
            ends_at: 0,
        }
    }

    /// The same with its end computed from when it was received, Unix seconds.
    pub fn received_at(mut self, now_unix_s: i64) -> Self {
        if self.ends_at == 0 {
            self.ends_at = now_unix_s + self.lives_s;
        }
        self
    }

    /// Whether the access token still holds for 30 seconds.
    pub fn is_fresh(&self, now_unix_s: i64) -> bool {
        self.ends_at > now_unix_s + 30
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fresh_until_half_a_minute_before_its_end() {
        let session = Session { lives_s: 900, ..Session::default() }.received_at(1_000);
        assert!(session.is_fresh(1_869));
        assert!(!session.is_fresh(1_870));
        assert!(!format!("{session:?}").contains("token"));
    }
}
