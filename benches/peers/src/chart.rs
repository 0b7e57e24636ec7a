//! Draws the hit as an SVG chart: the time of each candidate as a multiple of ours.

use std::fmt::{self, Write};

use crate::candidates::Kind;

const ROW: usize = 26;
const TOP: usize = 64;
const LEFT: f64 = 400.0;
const WIDTH: f64 = 480.0;

/// A bar of the chart.
pub struct Bar<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub times_ours: f64,
}

/// Draws horizontal bars in the given order.
pub fn svg(bars: &[Bar<'_>]) -> Result<String, fmt::Error> {
    let longest = bars.iter().map(|bar| bar.times_ours).fold(1.0, f64::max);
    let height = TOP + ROW * bars.len() + 16;
    let mut svg = String::new();
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height}" viewBox="0 0 960 {height}" font-family="sans-serif" font-size="14" fill="#333">
<title>A cached token as a ready header, one thread</title>
<rect width="960" height="{height}" fill="#fff"/>
<text x="16" y="28" font-size="18">A cached token as a ready header</text>
<text x="16" y="48" fill="#666">time of one call, as a multiple of ours; one thread, medians of one run; shorter is better</text>"##
    )?;
    for (row, bar) in bars.iter().enumerate() {
        let middle = TOP + ROW * row + ROW / 2;
        let length = bar.times_ours / longest * WIDTH;
        let name = bar.name.replace('&', "&amp;").replace('<', "&lt;");
        let colour = match bar.kind {
            Kind::Ours => "#1b7f5c",
            Kind::Floor => "#999",
            Kind::ByHand => "#7d9fc9",
            Kind::Peer => "#c97d4f",
        };
        writeln!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>
<rect x="{LEFT}" y="{}" width="{length:.1}" height="{}" fill="{colour}"/>
<text x="{:.1}" y="{}">{:.1}×</text>"#,
            LEFT - 8.0,
            middle + 5,
            name.replace('`', ""),
            middle - 9,
            ROW - 8,
            LEFT + length + 6.0,
            middle + 5,
            bar.times_ours,
        )?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}
