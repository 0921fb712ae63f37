//! The scenarios of `fixtures/scenarios`: what goes in, and what must come out.
//!
//! `SCENARIOS=write` writes what comes out into the files instead of comparing it.

mod answers;
mod player;
mod policy;
mod told;
mod words;

use std::fmt::Write;

use ics_fixtures::{scenarios, write_scenario};

use self::player::Player;

/// One line of a file, and the lines that it leads to.
struct Line<'a> {
    number: usize,
    text: &'a str,
    expected: Vec<&'a str>,
    found: Vec<String>,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let output = text.strip_prefix("< ").filter(|_| !lines.is_empty());
        match output {
            Some(output) => {
                let mut inputs = lines.iter_mut().rev();
                let input = inputs.find(|line| line.text.starts_with("> "));
                if let Some(input) = input {
                    input.expected.push(output);
                }
            }
            None => lines.push(Line {
                number,
                text,
                expected: Vec::new(),
                found: Vec::new(),
            }),
        }
    }
    lines
}

/// Plays all inputs; an error names the line.
fn play(name: &str, lines: &mut [Line<'_>]) -> Result<(), String> {
    let mut player = None;
    for line in lines {
        let Some(input) = line.text.strip_prefix("> ") else {
            if !line.text.is_empty() && !line.text.starts_with('#') {
                return Err(format!("{name}:{}: neither #, > nor <", line.number));
            }
            continue;
        };
        let place = |error| format!("{name}:{}: {input}: {error}", line.number);
        let Some(player) = &mut player else {
            player = Some(Player::new(input).map_err(place)?);
            continue;
        };
        line.found = player.play(input).map_err(place)?;
        let wrong = player.wrong();
        if !wrong.is_empty() {
            return Err(place(format!("{wrong:#?}")));
        }
    }
    Ok(())
}

/// Where what was found differs from what is expected.
fn differences(name: &str, lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.expected != line.found) {
        let _ = writeln!(text, "{name}:{}: after {:?}:", line.number, line.text);
        let same = |(a, b): &(&&str, &String)| **a == b.as_str();
        let before = line
            .expected
            .iter()
            .zip(&line.found)
            .take_while(same)
            .count();
        for expected in &line.expected[before..] {
            let _ = writeln!(text, "  - {expected}");
        }
        for found in &line.found[before..] {
            let _ = writeln!(text, "  + {found}");
        }
    }
    text
}

fn written(lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", line.text);
        for found in &line.found {
            let _ = writeln!(text, "< {found}");
        }
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether files are written is no decision of the core"
)]
fn writes() -> bool {
    std::env::var("SCENARIOS").is_ok_and(|value| value == "write")
}

#[test]
fn every_scenario_is_played_as_written() {
    let mut wrong = String::new();
    let all = scenarios();
    assert!(!all.is_empty());
    for (name, text) in all {
        let mut lines = lines(&text);
        if let Err(error) = play(&name, &mut lines) {
            let _ = writeln!(wrong, "{error}");
        } else if writes() {
            write_scenario(&name, &written(&lines));
        } else {
            wrong.push_str(&differences(&name, &lines));
        }
    }
    assert!(
        wrong.is_empty(),
        "scenarios differ; if that is right, `make scenarios` writes what is found:\n{wrong}"
    );
}
