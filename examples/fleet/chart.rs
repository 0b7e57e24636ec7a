//! Draws the chart as SVG: requests per minute at the server, both runs on one scale, and a
//! close-up of each of the three disturbances.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "all numbers are the simulation's own"
)]

use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::time::Duration;

use crate::goals::{self, BUSIEST_MINUTE, QUIET};
use crate::simulation::{self, ALL, ONE_IN, OUTAGE, Record, WRONG_CLOCKS};

/// Two colours that remain distinguishable with colour blindness.
const WITH: &str = "#0b6fa4";
const WITHOUT: &str = "#d1661a";

const STYLE: &str = "
text { font: 14px 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #24292f }
.title { font-size: 24px; font-weight: bold }
.head { font-size: 16px; font-weight: bold }
.small { font-size: 13px; fill: #57606a }
.halo { font-size: 13px; paint-order: stroke; stroke: #fff; stroke-width: 4px; stroke-linejoin: round }
.middle { text-anchor: middle }
.end { text-anchor: end }
.grid { stroke: #e3e7eb }
.axis { stroke: #57606a }
.goal { stroke: #24292f; stroke-width: 1.5; stroke-dasharray: 6 4 }
.outage { fill: #f9dcd9 }
.step { stroke: #d8c9ea; stroke-width: 5 }
";

/// Both runs. Their fleets have the same size.
pub(crate) struct Chart<'a> {
    pub(crate) with: &'a Record,
    pub(crate) without: &'a Record,
}

impl Display for Chart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="965" viewBox="0 0 1200 965">"#
        )?;
        writeln!(f, "<style>{STYLE}</style>")?;
        writeln!(f, r##"<rect width="1200" height="965" fill="#fff"/>"##)?;
        let instances = grouped(f64::from(self.with.instances));
        let title = format!("{instances} clients refresh their tokens for four days");
        text(f, (70.0, 42.0), "title", &title)?;
        let capacity = grouped(simulation::capacity(self.with.instances).into());
        let subtitle = format!(
            "All clients start together. The server accepts {capacity} requests per second, and a token \
             lives for an hour. Values above the scale are cut off."
        );
        text(f, (70.0, 68.0), "small", &subtitle)?;

        let with = Run::new(self.with, WITH);
        let without = Run::new(self.without, WITHOUT);
        let most = nice_above(
            1.15 * with
                .busiest_quiet_minute()
                .max(without.busiest_quiet_minute()),
        );
        text(
            f,
            (70.0, 104.0),
            "head",
            "With jitter: each client refreshes at a different age of its token",
        )?;
        four_days(f, &with, 134.0, most)?;
        text(
            f,
            (70.0, 394.0),
            "head",
            "Without jitter: all clients refresh at the same age",
        )?;
        four_days(f, &without, 424.0, most)?;

        let runs = [&without, &with];
        let outage = minute(OUTAGE.start);
        let step = minute(WRONG_CLOCKS.start);
        text(f, (70.0, 710.0), "head", "The start")?;
        close_up(f, &runs, 70.0, 0..10, (0, 2))?;
        text(f, (470.0, 710.0), "head", "The outage")?;
        close_up(f, &runs, 470.0, outage - 10..outage + 80, (outage, 10))?;
        text(f, (870.0, 710.0), "head", "The step of the clocks")?;
        close_up(f, &runs, 870.0, step - 5..step + 20, (step, 5))?;
        legend(f)?;
        writeln!(f, "</svg>")
    }
}

/// A run, in requests per minute.
struct Run {
    minutes: Vec<u32>,
    colour: &'static str,
}

impl Run {
    fn new(record: &Record, colour: &'static str) -> Self {
        let minutes = goals::per_minute(record.requests.within(&ALL));
        Self { minutes, colour }
    }

    fn within(&self, minutes: Range<u32>) -> &[u32] {
        let index = |minute| usize::try_from(minute).unwrap_or(usize::MAX);
        let range = index(minutes.start)..index(minutes.end);
        self.minutes.get(range).unwrap_or_default()
    }

    fn busiest(&self, minutes: Range<u32>) -> f64 {
        self.within(minutes)
            .iter()
            .copied()
            .max()
            .unwrap_or_default()
            .into()
    }

    fn busiest_quiet_minute(&self) -> f64 {
        let [before, after] = QUIET.map(|quiet| self.busiest(in_minutes(&quiet)));
        before.max(after)
    }
}

/// The frame of a plot: its position and its ranges.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    minutes: Range<u32>,
    most: f64,
}

impl Frame {
    fn x(&self, minute: u32) -> f64 {
        let span = f64::from(self.minutes.end) - f64::from(self.minutes.start);
        let passed = f64::from(minute) - f64::from(self.minutes.start);
        self.left + self.width * passed / span
    }

    fn y(&self, count: f64) -> f64 {
        self.bottom() - self.height * (count / self.most).min(1.0)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Draws the vertical axis and its grid, behind everything else.
    fn scale(&self, f: &mut Formatter<'_>, parts: u8) -> fmt::Result {
        for part in 0..=parts {
            let count = self.most * f64::from(part) / f64::from(parts);
            let y = self.y(count);
            let class = if part == 0 { "axis" } else { "grid" };
            line(f, class, (self.left, y), (self.left + self.width, y))?;
            text(f, (self.left - 8.0, y + 4.5), "small end", &grouped(count))?;
        }
        Ok(())
    }

    fn tick(&self, f: &mut Formatter<'_>, minute: u32, label: &str) -> fmt::Result {
        let (x, y) = (self.x(minute), self.bottom());
        line(f, "axis", (x, y), (x, y + 5.0))?;
        text(f, (x, y + 20.0), "small middle", label)
    }

    fn outage(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let minutes = in_minutes(&OUTAGE);
        let (x, end) = (self.x(minutes.start), self.x(minutes.end));
        let (top, width, height) = (self.top, end - x, self.height);
        writeln!(
            f,
            r#"<rect class="outage" x="{x:.1}" y="{top}" width="{width:.1}" height="{height}"/>"#
        )
    }

    fn clock_step(&self, f: &mut Formatter<'_>, at: Duration) -> fmt::Result {
        let x = self.x(minute(at));
        line(f, "step", (x, self.top), (x, self.bottom()))
    }

    /// Draws the counts as steps, one a minute, so that no minute is smoothed away.
    fn curve(&self, f: &mut Formatter<'_>, run: &Run, filled: bool) -> fmt::Result {
        let colour = run.colour;
        let (fill, close) = if filled { (colour, "z") } else { ("none", "") };
        write!(
            f,
            r#"<path fill="{fill}" fill-opacity="0.25" stroke="{colour}" stroke-width="{}" d="M{:.1} {:.1}"#,
            if filled { 1.0 } else { 2.0 },
            self.left,
            self.bottom(),
        )?;
        for (minute, count) in self.minutes.clone().zip(run.within(self.minutes.clone())) {
            write!(
                f,
                "V{:.1}H{:.1}",
                self.y((*count).into()),
                self.x(minute + 1)
            )?;
        }
        writeln!(f, r#"V{:.1}{close}"/>"#, self.bottom())
    }

    /// Draws the goal for a quiet time and labels its busiest minute.
    fn goal(
        &self,
        f: &mut Formatter<'_>,
        run: &Run,
        minutes: Range<u32>,
        (x, class): (f64, &str),
    ) -> fmt::Result {
        let mean = goals::mean(run.within(minutes.clone()));
        let (from, to) = (self.x(minutes.start), self.x(minutes.end));
        let y = self.y(BUSIEST_MINUTE * mean);
        line(f, "goal", (from, y), (to, y))?;
        let busiest = run.busiest(minutes);
        let label = format!("max {:.2} × mean", busiest / mean);
        text(f, (x, y.min(self.y(busiest)) - 8.0), class, &label)
    }

    /// Labels the busiest minute if its count exceeds the scale.
    fn cut_off(
        &self,
        f: &mut Formatter<'_>,
        run: &Run,
        minutes: Range<u32>,
        class: &str,
    ) -> fmt::Result {
        let busiest = run.busiest(minutes.clone());
        if busiest <= self.most {
            return Ok(());
        }
        let label = format!("↑ {}", grouped(busiest));
        let (x, dx) = if class.contains("end") {
            (self.x(minutes.start), -6.0)
        } else {
            (self.x(minutes.end), 6.0)
        };
        text(f, (x + dx, self.top + 13.0), class, &label)
    }
}

/// Draws the whole run with its disturbances.
fn four_days(f: &mut Formatter<'_>, run: &Run, top: f64, most: f64) -> fmt::Result {
    let frame = Frame {
        left: 70.0,
        top,
        width: 1100.0,
        height: 200.0,
        minutes: 0..minute(ALL.end),
        most,
    };
    frame.outage(f)?;
    frame.scale(f, 4)?;
    frame.clock_step(f, WRONG_CLOCKS.start)?;
    frame.clock_step(f, WRONG_CLOCKS.end)?;
    frame.curve(f, run, true)?;
    for hour in (0..=96).step_by(6) {
        frame.tick(f, hour * 60, &hour.to_string())?;
    }
    text(f, (1170.0, top + 238.0), "small end", "hours")?;

    let note = |f: &mut Formatter<'_>, at: Duration, class: &str, what: &str| {
        text(f, (frame.x(minute(at)), top - 7.0), class, what)
    };
    note(f, ALL.start, "small", "requests per minute")?;
    note(f, OUTAGE.start, "small middle", "outage of one hour")?;
    let ahead = format!("the clocks of one in {ONE_IN} clients step an hour ahead");
    note(f, WRONG_CLOCKS.start, "small", &ahead)?;
    note(f, WRONG_CLOCKS.end, "small", "and back")?;

    frame.cut_off(f, run, 0..1, "halo")?;
    frame.cut_off(f, run, in_minutes(&OUTAGE), "halo end")?;
    let step = minute(WRONG_CLOCKS.start);
    frame.cut_off(f, run, step..step + 5, "halo")?;

    let [before, after] = QUIET.map(|quiet| in_minutes(&quiet));
    let (left_of_outage, start) = (frame.x(before.end) - 6.0, frame.x(after.start));
    frame.goal(f, run, before, (left_of_outage, "halo end"))?;
    frame.goal(f, run, after, (start, "halo"))
}

/// Draws a few minutes in full height. The axis starts at `zero`, with a tick every `every`
/// minutes.
fn close_up(
    f: &mut Formatter<'_>,
    runs: &[&Run],
    left: f64,
    minutes: Range<u32>,
    (zero, every): (u32, usize),
) -> fmt::Result {
    let busiest = runs.iter().map(|run| run.busiest(minutes.clone()));
    let frame = Frame {
        left,
        top: 726.0,
        width: 300.0,
        height: 150.0,
        most: nice_above(busiest.fold(1.0, f64::max)),
        minutes: minutes.clone(),
    };
    if minutes.contains(&minute(OUTAGE.start)) {
        frame.outage(f)?;
    }
    frame.scale(f, 4)?;
    if minutes.contains(&minute(WRONG_CLOCKS.start)) {
        frame.clock_step(f, WRONG_CLOCKS.start)?;
    }
    for run in runs {
        frame.curve(f, run, false)?;
    }
    for at in (minutes.start..=minutes.end).step_by(every) {
        let label = i64::from(at) - i64::from(zero);
        frame.tick(f, at, &label.to_string())?;
    }
    text(f, (left + 300.0, 914.0), "small end", "minutes")
}

fn legend(f: &mut Formatter<'_>) -> fmt::Result {
    let entries = [(WITH, "with jitter"), (WITHOUT, "without")];
    for (x, (colour, what)) in [70.0, 190.0].into_iter().zip(entries) {
        writeln!(
            f,
            r#"<rect x="{x}" y="934" width="22" height="12" fill="{colour}"/>"#
        )?;
        text(f, (x + 29.0, 945.0), "", what)?;
    }
    line(f, "goal", (290.0, 940.0), (320.0, 940.0))?;
    let goal = format!(
        "goal: no minute above {BUSIEST_MINUTE} × mean, from a day after the start and after the outage"
    );
    text(f, (328.0, 945.0), "", &goal)
}

fn text(f: &mut Formatter<'_>, (x, y): (f64, f64), class: &str, what: &str) -> fmt::Result {
    writeln!(
        f,
        r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{what}</text>"#
    )
}

fn line(f: &mut Formatter<'_>, class: &str, from: (f64, f64), to: (f64, f64)) -> fmt::Result {
    writeln!(
        f,
        r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
        from.0, from.1, to.0, to.1
    )
}

fn minute(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 60).unwrap_or(u32::MAX)
}

fn in_minutes(time: &Range<Duration>) -> Range<u32> {
    minute(time.start)..minute(time.end)
}

/// Returns the next round number that divides well by four.
fn nice_above(count: f64) -> f64 {
    let magnitude = 10_f64.powf(count.log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0]
        .map(|step| step * magnitude)
        .into_iter()
        .find(|nice| *nice >= count)
        .unwrap_or(10.0 * magnitude)
}

/// Formats a number with thousands separators.
pub(crate) fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut grouped = String::new();
    for (left, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        grouped.push(digit);
        if left > 0 && left % 3 == 0 {
            grouped.push(',');
        }
    }
    grouped
}
