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
        Some(sdk::Error::Unreachable(_)) => 5,
        _ => 1,
    }
}

/// The sentence for people, with what to do next where that is known.
pub fn explain(error: &Error) -> String {
    let mut text = format!("{error:#}");
    match error.downcast_ref::<sdk::Error>() {
        Some(sdk::Error::Invalid { violations, .. }) => {
            for violation in violations {
                text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
            }
        }
        Some(sdk::Error::Unauthenticated(_)) => {
            text.push_str("\n  Log in with `crsctl login`, or pass --token / CRSCTL_TOKEN.");
        }
        Some(sdk::Error::Unreachable(_)) => {
            text.push_str("\n  Is the service running, and is --address (CRSCTL_ADDRESS) its control port, 4000 by default?");
        }
        Some(sdk::Error::Conflict(_)) => text.push_str("\n  Get it again and repeat the change."),
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
    }

    #[test]
    fn a_context_hides_no_kind() {
        let error = Error::new(sdk::Error::NotFound("key x".into())).context("get");
        assert_eq!(exit_code(&error), 4);
    }
}
