//! Turns as dialects want them that know two speakers only: instructions before all else, and no two turns in a row by
//! the same speaker.

use crate::{
    loss::{Feature, Losses, Refused},
    neutral::{Part, Piece, Role, Turn},
};

/// A conversation of two.
pub(crate) struct Dialogue<'a> {
    /// The instructions that stand before it.
    pub(crate) system: Vec<Piece<'a>>,
    /// User and assistant, in turns.
    pub(crate) turns: Vec<Turn<'a>>,
}

/// Makes a dialogue: instructions before the first turn are set apart, later ones become the user's, marked; turns
/// begin with the user's; what is empty is left out.
///
/// # Errors
/// Never on its own; what it declares may be.
pub(crate) fn dialogue<'a>(turns: Vec<Turn<'a>>, losses: &mut Losses) -> Result<Dialogue<'a>, Refused> {
    let mut dialogue = Dialogue { system: Vec::new(), turns: Vec::new() };
    let mut begun = false;
    for turn in turns {
        if turn.role == Role::System && !begun {
            dialogue.system.extend(turn.pieces.into_iter().filter(says_something));
            continue;
        }
        begun = true;
        let (role, pieces) = match turn.role {
            Role::System => {
                losses.declare(Feature::SystemInPlace)?;
                (Role::User, turn.pieces.into_iter().map(marked).collect())
            }
            role => (role, turn.pieces),
        };
        let pieces: Vec<_> = pieces.into_iter().filter(says_something).collect();
        if pieces.is_empty() {
            continue;
        }
        match dialogue.turns.last_mut() {
            Some(last) if last.role == role => last.pieces.extend(pieces),
            _ => dialogue.turns.push(Turn::new(role, pieces)),
        }
    }
    answers_first(&mut dialogue.turns);
    if dialogue.turns.is_empty() {
        // Instructions alone: they are what is asked.
        let pieces = std::mem::take(&mut dialogue.system);
        if pieces.is_empty() {
            return Err(Refused::malformed("the conversation says nothing"));
        }
        dialogue.turns.push(Turn::new(Role::User, pieces));
    }
    if dialogue.turns[0].role == Role::Assistant {
        losses.declare(Feature::FirstTurn)?;
        dialogue.turns.insert(0, Turn::text(Role::User, ".".into()));
    }
    Ok(dialogue)
}

/// Answers of tools stand before whatever else a turn says: what follows a call must be its answer.
fn answers_first(turns: &mut [Turn<'_>]) {
    for turn in turns.iter_mut().filter(|turn| turn.role == Role::User) {
        turn.pieces.sort_by_key(|piece| !matches!(piece.part, Part::Answer(_)));
    }
}

fn says_something(piece: &Piece<'_>) -> bool {
    !matches!(&piece.part, Part::Text(text) if text.trim().is_empty())
}

/// An instruction in the midst of a conversation, as a user's text.
fn marked(piece: Piece<'_>) -> Piece<'_> {
    match piece.part {
        Part::Text(text) if !text.trim_start().starts_with("<system-reminder>") => {
            let text = format!("<system-reminder>\n{text}\n</system-reminder>");
            Piece { part: Part::Text(text.into()), cache: piece.cache }
        }
        part => Piece { part, cache: piece.cache },
    }
}
