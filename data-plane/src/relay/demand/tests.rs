use proto::types;

use super::*;

fn limit(meter: &str, strict: bool) -> Compiled {
    let window = types::Window { kind: "day".into(), ..types::Window::default() };
    let (id, meter) = ("l".into(), meter.into());
    let limit =
        types::Limit { id, meter, amount: 1, strict, window: Some(window), ..types::Limit::default() };
    Compiled::new("k", &limit).unwrap()
}

fn bytes(pieces: &[&'static str]) -> (Vec<Bytes>, u64) {
    let pieces: Vec<_> = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    let length = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
    (pieces, length)
}

fn bound(pieces: &[&'static str]) -> Bound {
    let (pieces, length) = bytes(pieces);
    Bound::of(&pieces, length)
}

#[test]
fn text_is_bounded_by_its_bytes_and_all_else_is_not() {
    let text = r#"{"model":"m","messages":[{"role":"user","content":"say \"url\" and \"web_search\""}]}"#;
    assert_eq!(bound(&[text]), Bound::Text(text.len() as i64 + ADDED));
    assert_eq!(bound(&[r#"{"source":{"type":"u"#, r#"rl","url":"https://x"}}"#]), Bound::Context);
    assert_eq!(bound(&[r#"{"type":"im"#, "age", r#"","source":1}"#]), Bound::Context);
    assert_eq!(bound(&[r#"{"tools":[{"type":"web_"#, r#"search_20250305"}]}"#]), Bound::Nothing);
    assert_eq!(bound(&[r#"{"n":8}"#]), Bound::Nothing);
    assert_eq!(bound(&[r#"{"type":"im\u0061ge"}"#]), Bound::Nothing);
    assert!(matches!(bound(&[r#"{"content":"\u001b[0m"}"#]), Bound::Text(_)));
}

#[test]
fn every_cut_of_a_body_is_seen_through() {
    let body = br#"{"a":"some text before","type":"image","b":"and some text behind it, long enough"}"#;
    for first in 0..body.len() {
        for second in first..body.len() {
            let cut = [&body[..first], &body[first..second], &body[second..]];
            let pieces: Vec<_> = cut.into_iter().map(Bytes::copy_from_slice).collect();
            assert_eq!(Bound::of(&pieces, body.len() as u64), Bound::Context, "{first} {second}");
        }
    }
}

#[test]
fn an_estimate_takes_the_smaller_of_cap_and_mean_and_the_worst_case_the_cap() {
    let price = Table::shipped().find("claude-sonnet-4-5");
    let size = Size { input: 100, cap: 5_000, mean: 300, bound: Bound::Text(8_000) };
    let rate = Rate { price, multiplier: 2.0 };
    assert_eq!(size.units(&limit("requests", false), rate), Ok(1));
    assert_eq!(size.units(&limit("concurrency", false), rate), Ok(1));
    assert_eq!(size.units(&limit("tokens", false), rate), Ok(400));
    assert_eq!(size.units(&limit("tokens", true), rate), Ok(13_000));
    let small = Size { cap: 50, ..size };
    assert_eq!(small.units(&limit("tokens", false), rate), Ok(150));
    let cost = size.units(&limit("cost", false), rate).unwrap();
    let worst = size.units(&limit("cost", true), rate).unwrap();
    assert!(cost > 0 && worst > 10 * cost, "{cost} {worst}");
}

#[test]
fn a_strict_limit_needs_a_bound() {
    let price = Table::shipped().find("claude-sonnet-4-5");
    let size = Size { input: 100, cap: 0, mean: 300, bound: Bound::Context };
    let (tokens, cost) = (limit("tokens", true), limit("cost", true));
    let known = price.unwrap();
    let most = i64::from(known.context) + i64::from(known.max_output);
    assert_eq!(size.units(&tokens, Rate { price, multiplier: 1.0 }), Ok(most));
    let nothing = Size { bound: Bound::Nothing, ..size };
    assert_eq!(nothing.units(&tokens, Rate { price, multiplier: 1.0 }), Err(NoBound));
    let unknown = Rate { price: None, multiplier: 1.0 };
    assert_eq!(size.units(&tokens, unknown), Err(NoBound));
    let text = Size { bound: Bound::Text(900), cap: 100, ..size };
    assert_eq!(text.units(&tokens, unknown), Ok(1_000));
    assert_eq!(text.units(&cost, unknown), Err(NoBound));
}

#[test]
fn the_mean_follows_what_comes() {
    let (means, key) = (Means::default(), KeyId::from("k"));
    assert_eq!(means.of(&key), FIRST_GUESS);
    means.add(&key, 80);
    assert_eq!(means.of(&key), 80);
    for _ in 0..100 {
        means.add(&key, 800);
    }
    assert!((780..=800).contains(&means.of(&key)));
}
