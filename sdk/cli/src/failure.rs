//! What a failed command says, and the exit code it ends with.

use anyhow::Error;

/// A mistake in how the command was called.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The code for the shell.
pub fn exit_code(error: &Error) -> u8 {
    if error.is::<Usage>() {
        return 2;
    }
    match error.downcast_ref::<sdk::Error>() {
        Some(sdk::Error::Address(_) | sdk::Error::Token | sdk::Error::Invalid { .. }) => 2,
        Some(sdk::Error::Unauthenticated(_) | sdk::Error::Refused(_)) => 3,
        Some(sdk::Error::NotFound(_)) => 4,
        Some(sdk::Error::Unreachable(_) | sdk::Error::Unavailable(_)) => 5,
        _ => 1,
    }
}

/// The sentence for people, with what to do next where that is known.
pub fn explain(error: &Error) -> String {
    let mut text = format!("{error:#}");
    match error.downcast_ref::<sdk::Error>() {
        Some(sdk::Error::Invalid { violations, .. }) => {
            for violation in violations {
                let line = format!("{}: {}", violation.field, violation.description);
                // The sentence holds them already where the server wrote it from them.
                if !text.contains(&line) {
                    text.push_str(&format!("\n  {line}"));
                }
            }
        }
        Some(sdk::Error::Unauthenticated(_)) => {
            text.push_str("\n  Log in with `crsctl login`, or pass --token / CRSCTL_TOKEN.");
        }
        Some(sdk::Error::Unreachable(_)) => {
            text.push_str("\n  Is the service running, and is --address (CRSCTL_ADDRESS) its control port, 4000 by default?");
        }
        Some(sdk::Error::Throttled { retry_after_s: Some(seconds), .. }) => {
            text.push_str(&format!("\n  Try again in {seconds} s."));
        }
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        let code = |error: sdk::Error| exit_code(&Error::new(error));
        assert_eq!(exit_code(&anyhow::anyhow!("x")), 1);
        assert_eq!(exit_code(&Error::new(Usage("x".into()))), 2);
        assert_eq!(code(sdk::Error::Refused("x".into())), 3);
        assert_eq!(code(sdk::Error::NotFound("x".into())), 4);
        assert_eq!(code(sdk::Error::Unreachable("x".into())), 5);
        assert_eq!(code(sdk::Error::Unavailable("x".into())), 5);
    }

    #[test]
    fn a_violation_is_told_once() {
        let violation =
            |field: &str| sdk::Violation { field: field.into(), description: "must not be empty".into() };
        let invalid = |message: &str| {
            let violations = vec![violation("name"), violation("tags[0]")];
            explain(&Error::new(sdk::Error::Invalid { message: message.into(), violations }))
        };
        let whole = "name: must not be empty; tags[0]: must not be empty";
        assert_eq!(invalid(whole), whole);
        assert_eq!(invalid("no"), "no\n  name: must not be empty\n  tags[0]: must not be empty");
    }

    #[test]
    fn a_context_hides_no_kind() {
        let error = Error::new(sdk::Error::NotFound("key x".into())).context("get");
        assert_eq!(exit_code(&error), 4);
    }
}
