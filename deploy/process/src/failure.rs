//! How a process tells why it could not go on: one line, from the outside in.

use std::error::Error;

/// An error and its causes. A cause that the text before ends with is not said again.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("store: {0}")]
        Store(#[from] io::Error),
        #[error("cannot begin")]
        Begin(#[source] Box<Failed>),
    }

    #[test]
    fn every_cause_is_said_once() {
        let store = || Failed::from(io::Error::other("disk full"));
        assert_eq!(told(&store()), "store: disk full");
        assert_eq!(told(&Failed::Begin(Box::new(store()))), "cannot begin: store: disk full");
    }
}
