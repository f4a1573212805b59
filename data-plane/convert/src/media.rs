//! Images, documents and sounds: data URLs, MIME types, base64.

use std::borrow::Cow;

use crate::neutral::{Kind, Media, Source, Text};

/// The medium at an address: a data URL is taken apart, any other stays an address.
pub fn from_url<'a>(kind: Kind, url: Text<'a>, name: Option<Text<'a>>) -> Media<'a> {
    let apart = url.strip_prefix("data:").and_then(|rest| {
        let (head, data) = rest.split_once(',')?;
        let mime = head.strip_suffix(";base64")?;
        let mime = mime.split(';').next().unwrap_or_default().to_owned();
        Some((mime, url.len() - data.len()))
    });
    match apart {
        Some((mime, at)) => Media {
            kind: kind_of(&mime, kind),
            mime: mime.into(),
            source: Source::Base64(tail(url, at)),
            name,
        },
        None => Media { kind, mime: mime_of_name(&url).into(), source: Source::Url(url), name },
    }
}

/// The medium as an address that holds it.
pub fn to_url<'a>(media: &'a Media<'_>) -> Text<'a> {
    match &media.source {
        Source::Url(url) => Cow::Borrowed(url),
        Source::Base64(data) => Cow::Owned(format!("data:{};base64,{data}", mime(media))),
        Source::Plain(text) => {
            Cow::Owned(format!("data:{};base64,{}", mime(media), encoded(text.as_bytes())))
        }
    }
}

/// Its MIME type, or the likeliest one.
pub fn mime<'a>(media: &'a Media<'_>) -> &'a str {
    if !media.mime.is_empty() {
        return &media.mime;
    }
    match (media.kind, &media.source) {
        (Kind::Image, _) => "image/jpeg",
        (Kind::Audio, _) => "audio/wav",
        (Kind::Document, Source::Plain(_)) => "text/plain",
        (Kind::Document, _) => "application/pdf",
    }
}

/// What kind a MIME type is of.
pub fn kind_of(mime: &str, otherwise: Kind) -> Kind {
    match mime.split('/').next().unwrap_or_default() {
        "image" => Kind::Image,
        "audio" => Kind::Audio,
        "application" | "text" => Kind::Document,
        _ => otherwise,
    }
}

/// The MIME type that a file's or address's ending stands for; empty where it stands for none.
fn mime_of_name(name: &str) -> &'static str {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        _ => "",
    }
}

/// Base64 in the standard alphabet: some of Gemini's clients write the other one.
pub fn standard_base64(data: Text<'_>) -> Text<'_> {
    if memchr::memchr2(b'-', b'_', data.as_bytes()).is_none() {
        return data;
    }
    Cow::Owned(
        data.chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                c => c,
            })
            .collect(),
    )
}

/// Bytes in base64.
pub fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The text that base64 stands for.
pub fn decoded_text(data: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok()
}

fn tail(text: Text<'_>, at: usize) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[at..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart_and_put_together() {
        let url = "data:image/png;base64,iVBO";
        let media = from_url(Kind::Image, url.into(), None);
        assert_eq!(media.source, Source::Base64("iVBO".into()));
        assert_eq!(to_url(&media), url);
        let media = from_url(Kind::Image, "https://x.example/a.png?b=c".into(), None);
        assert_eq!((mime(&media), to_url(&media).as_ref()), ("image/png", "https://x.example/a.png?b=c"));
        for broken in ["data:", "data:,", "data:image/png;base64", "data:x,y", ""] {
            assert_eq!(to_url(&from_url(Kind::Image, broken.into(), None)), broken);
        }
        assert_eq!(standard_base64("a-_b".into()), "a+/b");
    }
}
