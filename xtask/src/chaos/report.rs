//! What a run or a history comes to, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::checker::{Delays, Verdict, Violation};
use super::history::{Entry, Event};

/// How many violations are told in full; further ones are counted.
const MOST_TOLD: usize = 20;
/// How many entries before a violation are told with it.
const AROUND: usize = 12;

/// Counts, delays, and the violations with what was around them.
pub(super) fn text(title: &str, history: &[Entry], verdict: &Verdict) -> String {
    let mut text = format!("{title}\n");
    for (what, count) in &verdict.counts {
        let _infallible = writeln!(text, "  {count:>9}  {what}");
    }
    for (when, delays) in [
        ("without a fault", &verdict.delays.quiet),
        ("around faults", &verdict.delays.disturbed),
    ] {
        let _infallible = writeln!(text, "  {}", delay_line(when, delays));
    }
    let _infallible = writeln!(
        text,
        "  {} % of the time was within 5 s of a fault, {} % within 10 s; some rules are strict only outside",
        verdict.recovering, verdict.disturbed
    );
    for unexplained in verdict.unexplained.iter().take(MOST_TOLD) {
        let _infallible = writeln!(text, "  unexplained failure: {unexplained}");
    }
    let _infallible = writeln!(
        text,
        "  {} unexplained failures (5 to 10 seconds after a fault)",
        verdict.unexplained.len()
    );
    for unchecked in &verdict.unchecked {
        let _infallible = writeln!(text, "  NOT A WHOLE HISTORY: {unchecked}");
    }
    if verdict.violations.is_empty() {
        text.push_str(if verdict.unchecked.is_empty() {
            "  no violation\n"
        } else {
            "  no violation of what could be checked\n"
        });
    }
    let mut rules = BTreeMap::<_, usize>::new();
    for violation in &verdict.violations {
        *rules.entry(violation.rule).or_default() += 1;
    }
    for (rule, times) in rules {
        let _infallible = writeln!(text, "  {times:>9}  VIOLATIONS of rule {rule}");
    }
    for violation in verdict.violations.iter().take(MOST_TOLD) {
        tell(&mut text, history, violation);
    }
    let more = verdict.violations.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        let _infallible = writeln!(text, "… and {more} more violations");
    }
    text
}

fn delay_line(when: &str, delays: &[u64]) -> String {
    let percentile = |share| Delays::percentile(delays, share);
    format!(
        "from the acknowledgement until a verifier refuses, {when}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} times)",
        percentile(50),
        percentile(99),
        percentile(100),
        delays.len()
    )
}

fn tell(text: &mut String, history: &[Entry], violation: &Violation) {
    let _infallible = writeln!(
        text,
        "VIOLATION of rule {}\n  {} at {}{}",
        violation.rule,
        violation.what,
        seconds(violation.at),
        match &violation.session {
            Some(session) => format!(", session {session}"),
            None => String::new(),
        }
    );
    let is_around = |entry: &&Entry| {
        let is_fault = matches!(entry.what, Event::Fault { .. });
        let is_near = entry.ended.saturating_add(20_000_000) > violation.at;
        let is_session =
            violation.session.is_some() && entry.what.session() == violation.session.as_deref();
        entry.began <= violation.at && (is_session || (is_fault && is_near))
    };
    let mut around: Vec<_> = history.iter().filter(is_around).collect();
    around.sort_by_key(|entry| entry.ended);
    let skipped = around.len().saturating_sub(AROUND);
    for entry in around.into_iter().skip(skipped) {
        let what = serde_json::to_string(&entry.what).unwrap_or_default();
        let (began, ended) = (seconds(entry.began), seconds(entry.ended));
        let _infallible = writeln!(text, "    {began} – {ended} {}: {what}", entry.who);
    }
}

fn seconds(microseconds: u64) -> String {
    format!(
        "{}.{:06} s",
        microseconds / 1_000_000,
        microseconds % 1_000_000
    )
}
