//! Telling who runs the service for the first time how to log in.

use std::io;

use api::bootstrap::Generated;
use secrecy::ExposeSecret as _;

/// Shows a generated password: for people on standard error, for programs (`line`) as one line of JSON on standard
/// output.
///
/// # Errors
/// When that cannot be written: the password would be lost.
pub fn show(generated: &Generated, url: &str, line: bool) -> io::Result<()> {
    write(generated, url, &mut io::stderr().lock(), line.then(|| io::stdout().lock()))
}

fn write(
    generated: &Generated,
    url: &str,
    people: &mut impl io::Write,
    programs: Option<impl io::Write>,
) -> io::Result<()> {
    let password = generated.password.expose_secret();
    writeln!(people, "\n  First start. Log in at {url}")?;
    writeln!(people, "    user      {}", generated.username)?;
    writeln!(people, "    password  {password}")?;
    writeln!(people, "  The password is shown this once.\n")?;
    if let Some(mut programs) = programs {
        let line = serde_json::json!({
            "admin_username": generated.username,
            "admin_password": password,
            "url": url,
        });
        writeln!(programs, "{line}")?;
        programs.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_one_line_of_json() {
        let generated = Generated { username: "admin".into(), password: "p-1".into() };
        let (mut people, mut programs) = (Vec::new(), Vec::new());
        write(&generated, "http://127.0.0.1:4000", &mut people, Some(&mut programs)).unwrap();
        assert!(String::from_utf8(people).unwrap().contains("p-1"));
        let programs = String::from_utf8(programs).unwrap();
        assert_eq!(programs.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&programs).unwrap();
        assert_eq!(line["admin_username"], "admin");
        assert_eq!(line["admin_password"], "p-1");
        assert_eq!(line["url"], "http://127.0.0.1:4000");
    }

    #[test]
    fn without_being_asked_nothing_goes_to_programs() {
        let generated = Generated { username: "admin".into(), password: "p-1".into() };
        let mut people = Vec::new();
        write(&generated, "u", &mut people, None::<Vec<u8>>).unwrap();
        assert!(!people.is_empty());
    }
}
