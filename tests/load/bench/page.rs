//! The page with the figures: medians over the rounds, and ratios paired by round.

use std::fmt::Write as _;

use e2e::load::{Kind, SCENARIOS, Scenario};

use super::{Arguments, Sample, memory::Memory, targets, targets::Target};

/// What the page promises: scenario, measured target, reference, the most that the ratio may be.
const AIMS: &[(&str, &str, f64)] = &[
    ("S1c1", "hyper-proxy", 1.3),
    ("S1c64", "hyper-proxy", 1.3),
    ("S1c256", "hyper-proxy", 1.3),
    ("S3", "hyper-proxy", 1.2),
    ("S2c", "nginx", 2.0),
    ("S4", "hyper-proxy", 1.3),
];

/// Writes the page.
pub fn write(arguments: &Arguments, all: &[Target], samples: &[Sample], memory: &[Memory]) -> String {
    let names: Vec<&str> = all.iter().map(|target| target.name).collect();
    let mut page = String::new();
    head(&mut page, arguments);
    let cpu = |sample: &Sample| sample.cpu_us;
    table(&mut page, "CPU µs of the gateway per request (S3: per delta)", &names, samples, cpu, 1);
    ratios(&mut page, &names, samples, "hyper-proxy");
    ratios(&mut page, &names, samples, "nginx");
    aims(&mut page, &names, samples, memory);
    table(&mut page, "Requests (S3: deltas) per second", &names, samples, |sample| sample.rate, 0);
    let p50 = |sample: &Sample| sample.run.latency.quantile(0.5) as f64;
    let p99 = |sample: &Sample| sample.run.latency.quantile(0.99) as f64;
    table(&mut page, "Latency p50, µs (S3: from the mock's write to our read)", &names, samples, p50, 0);
    table(&mut page, "Latency p99, µs", &names, samples, p99, 0);
    let added = "Added latency p50 / p99 in S1c1, µs: the target minus `direct`";
    added_latency(&mut page, added, &names, samples);
    table(&mut page, "Gateway core busy, %", &names, samples, |sample| sample.busy, 0);
    table(&mut page, "Errors", &names, samples, |sample| sample.run.errors as f64, 0);
    memories(&mut page, arguments, memory);
    page
}

fn head(page: &mut String, arguments: &Arguments) {
    let cores = if targets::pinned() {
        "Each gateway alone on core 0; mock, load generator and (for `crs-data`, at low priority) the control plane on core 1."
    } else {
        "Nothing is pinned to cores (no `taskset`, or one core): read CPU figures, not throughput."
    };
    let _ = writeln!(
        page,
        "# Measurements\n\nWritten by `make bench` ({} rounds of {} s; medians, `[min-max]`). Compare inside one table, as ratios: \
         absolute figures belong to\nthe machine and move by 20 % between runs. {cores}\n\n\
         `direct` is a second mock in the gateway's place. `hyper-proxy` is `tests/load/hyper_proxy.rs`: hyper's pooled client and \
         nothing else. `nginx` runs\none worker, keep-alive both ways, no access log, no buffering. `crs-data` is a node, `crs` the standalone \
         (its control plane counts too);\nboth with everything on: key look-up, two limits on the key, sticky session, priced and durable \
         usage record, access log.\n\nHow bursts are cheap: the upstream connection is polled in the task that serves the client, and pieces that are \
         ready together are\njoined into one write; nothing is ever delayed for it.\n\n| scenario | what |\n| --- | --- |",
        arguments.rounds, arguments.seconds
    );
    for scenario in SCENARIOS {
        let _ = writeln!(page, "| {} | {} |", scenario.name, scenario.what);
    }
}

fn values(samples: &[Sample], scenario: &str, target: &str, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
    let wanted = |sample: &&Sample| sample.scenario == scenario && sample.target == target;
    samples.iter().filter(wanted).map(value).collect()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn present(samples: &[Sample]) -> impl Iterator<Item = &'static Scenario> + use<'_> {
    SCENARIOS.iter().filter(|scenario| samples.iter().any(|sample| sample.scenario == scenario.name))
}

fn header(page: &mut String, title: &str, samples: &[Sample]) {
    let names: Vec<&str> = present(samples).map(|scenario| scenario.name).collect();
    let _ = writeln!(page, "\n## {title}\n\n| | {} |", names.join(" | "));
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(names.len()));
}

fn table(
    page: &mut String,
    title: &str,
    targets: &[&str],
    samples: &[Sample],
    value: impl Fn(&Sample) -> f64,
    digits: usize,
) {
    header(page, title, samples);
    for target in targets {
        let cell = |scenario: &Scenario| {
            let all = values(samples, scenario.name, target, &value);
            let (low, high) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            match median(&all) {
                Some(median) if all.len() > 1 => {
                    format!("{median:.digits$} [{low:.digits$}-{high:.digits$}]")
                }
                Some(median) => format!("{median:.digits$}"),
                None => "–".into(),
            }
        };
        let cells: Vec<String> = present(samples).map(cell).collect();
        let _ = writeln!(page, "| {target} | {} |", cells.join(" | "));
    }
}

/// The median over the rounds of the ratio inside each round.
fn ratio(samples: &[Sample], scenario: &str, target: &str, to: &str) -> Option<f64> {
    let (mine, theirs) = (
        values(samples, scenario, target, |sample| sample.cpu_us),
        values(samples, scenario, to, |sample| sample.cpu_us),
    );
    let paired: Vec<f64> = mine.iter().zip(&theirs).map(|(mine, theirs)| mine / theirs).collect();
    median(&paired)
}

fn ratios(page: &mut String, targets: &[&str], samples: &[Sample], to: &str) {
    if !targets.contains(&to) {
        return;
    }
    header(page, &format!("CPU as a ratio to {to}, paired by round"), samples);
    for target in targets {
        let cell = |scenario: &Scenario| {
            ratio(samples, scenario.name, target, to).map_or("–".into(), |ratio| format!("{ratio:.2}"))
        };
        let cells: Vec<String> = present(samples).map(cell).collect();
        let _ = writeln!(page, "| {target} | {} |", cells.join(" | "));
    }
}

fn aims(page: &mut String, targets: &[&str], samples: &[Sample], memory: &[Memory]) {
    if !targets.contains(&"crs-data") {
        return;
    }
    let _ = writeln!(
        page,
        "\n## Aims (a node, `crs-data`)\n\n| what | aim | measured | |\n| --- | ---: | ---: | --- |"
    );
    let mark = |met: bool| if met { "met" } else { "**not met**" };
    for (scenario, to, most) in AIMS {
        if let Some(ratio) = ratio(samples, scenario, "crs-data", to) {
            let verdict = mark(ratio <= *most);
            let _ = writeln!(page, "| {scenario} to {to} | ≤ {most} | {ratio:.2} | {verdict} |");
        }
    }
    if let Some(node) = memory.iter().find(|memory| memory.target == "crs-data") {
        for (what, kib, most) in
            [("idle", node.idle.rss_kib, 15.0), ("1000 streams", node.streams.rss_kib, 60.0)]
        {
            let mb = kib as f64 / 1024.0;
            let _ = writeln!(page, "| RSS {what}, MB | ≤ {most} | {mb:.1} | {} |", mark(mb <= most));
        }
    }
}

fn added_latency(page: &mut String, title: &str, targets: &[&str], samples: &[Sample]) {
    let at = |target: &str, share: f64| {
        median(&values(samples, "S1c1", target, |sample| sample.run.latency.quantile(share) as f64))
    };
    let (Some(p50), Some(p99)) = (at("direct", 0.5), at("direct", 0.99)) else { return };
    let _ = writeln!(page, "\n## {title}\n\n| | p50 | p99 |\n| --- | ---: | ---: |");
    for target in targets.iter().filter(|target| **target != "direct") {
        if let (Some(mine50), Some(mine99)) = (at(target, 0.5), at(target, 0.99)) {
            let _ = writeln!(page, "| {target} | {:+.0} | {:+.0} |", mine50 - p50, mine99 - p99);
        }
    }
}

fn memories(page: &mut String, arguments: &Arguments, memory: &[Memory]) {
    let streams = Scenario::find("S3").filter(|scenario| scenario.kind == Kind::Paced);
    let count = streams.map_or(0, |scenario| scenario.concurrency);
    let _ = writeln!(
        page,
        "\n## Resident memory, MB (proportional in parentheses)\n\n| | idle | under {count} paced streams | {} s after |\n\
         | --- | ---: | ---: | ---: |",
        arguments.settle
    );
    let mb = |kib: u64| kib as f64 / 1024.0;
    for one in memory {
        let cell = |usage: e2e::load::Usage| format!("{:.1} ({:.1})", mb(usage.rss_kib), mb(usage.pss_kib));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            one.target,
            cell(one.idle),
            cell(one.streams),
            cell(one.after)
        );
    }
}
