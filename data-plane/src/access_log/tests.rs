//! Lines are JSON whatever clients send, and every line is written or counted.

use super::*;

fn read(path: &std::path::Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_is_json_whatever_the_client_sent() {
    let mut line = Vec::new();
    let entry = Entry { path: "/v1/\"x\\\u{1}\n\u{7f}é", status: 200, cost: -1, ..Entry::default() };
    line::append(&mut line, &entry);
    assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(value["path"], "/v1/\"x\\\u{1}\n\u{7f}é");
    assert_eq!(value["cost_nano_usd"], -1);
    assert!(value.get("model").is_none());
}

#[test]
fn every_line_of_every_lane_is_written_when_the_log_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::start(&Destination::File(path.clone()), Counter::default()).unwrap();
    let lanes: Vec<_> = (0..3).map(|_| log.lane()).collect();
    std::thread::scope(|scope| {
        for lane in &lanes {
            scope.spawn(move || {
                for n in 0..2_000 {
                    lane.write(&Entry { at_ms: n, method: "POST", ..Entry::default() });
                }
            });
        }
    });
    let dropped = log.dropped.clone();
    drop(log);
    assert_eq!(read(&path).len() as u64 + dropped.get(), 6_000);
}

#[test]
fn a_lone_line_does_not_wait_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::start(&Destination::File(path.clone()), Counter::default()).unwrap();
    let lane = log.lane();
    lane.write(&Entry { status: 204, ..Entry::default() });
    let end = Instant::now() + Duration::from_secs(10);
    while read(&path).is_empty() {
        assert!(Instant::now() < end, "the line was not written within 10 s");
        std::thread::yield_now();
    }
    assert_eq!(read(&path)[0]["status"], 204);
}

#[test]
fn a_writer_that_cannot_keep_up_costs_lines_not_time() {
    let (out, buffers) = sync_channel(1);
    let lane = Lane { buffer: Mutex::new(Vec::new()), out: Some(out), dropped: Counter::default() };
    let long = "x".repeat(1 << 10);
    let lines = 64 * 6;
    for _ in 0..lines {
        lane.write(&Entry { path: &long, ..Entry::default() });
    }
    drop(buffers);
    assert!(lane.dropped.get() > lines / 2, "{} of {lines}", lane.dropped.get());
}

#[test]
fn destinations_have_names() {
    assert_eq!("off".parse(), Ok(Destination::Off));
    assert_eq!("stderr".parse(), Ok(Destination::Stderr));
    assert_eq!("logs/a.log".parse(), Ok(Destination::File("logs/a.log".into())));
}
