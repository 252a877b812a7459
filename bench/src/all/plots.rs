//! Plots as SVG.

use plotters::prelude::*;
use plotters::series::DashedLineSeries;

use super::figures::readable;
use super::findings::Findings;
use crate::failure::{Doing, Outcome};
use crate::scenario::{AGAINST_CLIENTS, AGAINST_RATE};

/// A picture and what it shows.
pub(super) struct Plot {
    /// Of the file, without its ending.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Error<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 460);
/// Room for the names of the lines, beside them and not upon them, as a share of their width.
const FOR_NAMES: f64 = 0.38;
/// On white, so that they can be read on a dark page, too. They differ in lightness and not in hue
/// alone, for whoever does not see that.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 84, 166),
    RGBColor(214, 93, 14),
    RGBColor(26, 127, 55),
    RGBColor(130, 80, 160),
];
const INK: RGBColor = RGBColor(31, 35, 40);
const GRID: RGBColor = RGBColor(225, 228, 232);

/// One line of a plot.
struct Line {
    name: String,
    colour: usize,
    is_dashed: bool,
    /// By place on the horizontal axis.
    points: Vec<(f64, f64)>,
}

/// A plot before it is drawn.
struct Chart {
    name: &'static str,
    title: &'static str,
    horizontal: &'static str,
    vertical: &'static str,
    is_logarithmic: bool,
    lines: Vec<Line>,
}

/// All that there are findings for.
pub(super) fn all(findings: &Findings) -> Outcome<Vec<Plot>> {
    let charts = [
        Chart {
            name: "throughput-against-clients",
            title: "Throughput in a closed loop",
            horizontal: "clients, each with one request under way",
            vertical: "requests a second",
            is_logarithmic: false,
            lines: from_series(findings, AGAINST_CLIENTS, &[Figure::Rate]),
        },
        Chart {
            name: "latency-against-clients",
            title: "Latency in a closed loop",
            horizontal: "clients, each with one request under way",
            vertical: "milliseconds",
            is_logarithmic: true,
            lines: from_series(findings, AGAINST_CLIENTS, &[Figure::P50, Figure::P99]),
        },
        Chart {
            name: "latency-against-rate",
            title: "Latency in an open loop, from the instant that a request was due",
            horizontal: "arrivals, in percent of the capacity",
            vertical: "milliseconds",
            is_logarithmic: true,
            lines: from_series(findings, AGAINST_RATE, &[Figure::P50, Figure::P99]),
        },
        Chart {
            name: "throughput-against-sessions",
            title: "Refreshes of sessions by chance",
            horizontal: "sessions in the database",
            vertical: "refreshes a second",
            is_logarithmic: false,
            lines: by_sessions(findings, "refresh", "ops_per_second"),
        },
        Chart {
            name: "cpu-against-sessions",
            title: "CPU time of the service for one refresh",
            horizontal: "sessions in the database",
            vertical: "microseconds",
            is_logarithmic: false,
            lines: by_sessions(findings, "refresh", "server_cpu_us_per_op"),
        },
        Chart {
            name: "memory-against-sessions",
            title: "Resident memory of the service after refreshes by chance",
            horizontal: "sessions in the database",
            vertical: "MiB",
            is_logarithmic: false,
            lines: by_sessions(findings, "memory", "at_scale_rss_mib"),
        },
        Chart {
            name: "bytes-against-sessions",
            title: "Database with indexes, for each new session",
            horizontal: "sessions in the database",
            vertical: "bytes",
            is_logarithmic: false,
            lines: by_sessions(findings, "footprint", "bytes_per_new_session"),
        },
    ];
    let charts = charts.into_iter().filter(|chart| !chart.lines.is_empty());
    charts.map(|chart| chart.draw()).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Figure {
    Rate,
    P50,
    P99,
}

/// Lines of what was measured from point to point, in a colour for each load.
fn from_series(findings: &Findings, against: &str, figures: &[Figure]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut colour = 0;
    for (finding, report) in findings.reports() {
        for series in report
            .series
            .iter()
            .filter(|series| series.against == against)
        {
            for figure in figures {
                let of = match series.of.as_str() {
                    "token" => "token".to_owned(),
                    of => format!("{of}, {}", database(&finding.database)),
                };
                let (name, is_dashed) = match figure {
                    Figure::Rate => (of, false),
                    Figure::P50 => (format!("{of}, p50"), false),
                    Figure::P99 => (format!("{of}, p99"), true),
                };
                let points = series.points.iter().map(|point| {
                    let value = match figure {
                        Figure::Rate => point.ops_per_second,
                        Figure::P50 => point.p50_ms,
                        Figure::P99 => point.p99_ms,
                    };
                    (point.at, value)
                });
                lines.push(Line {
                    name,
                    colour,
                    is_dashed,
                    points: points.collect(),
                });
            }
            colour += 1;
        }
    }
    lines
}

/// A line for each database, from few sessions to many.
fn by_sessions(findings: &Findings, scenario: &str, figure: &str) -> Vec<Line> {
    let lines = ["sqlite", "postgres"].iter().enumerate();
    let lines = lines.map(|(colour, on)| {
        let points = findings.reports().filter_map(|(finding, report)| {
            let is_it = finding.database == *on && report.scenario == scenario;
            let sessions = finding.sessions.filter(|_| is_it)?;
            Some((f64::from(sessions), report.figure(figure)?))
        });
        Line {
            name: database(on).to_owned(),
            colour,
            is_dashed: false,
            points: points.collect(),
        }
    });
    lines.filter(|line| !line.points.is_empty()).collect()
}

fn database(name: &str) -> &str {
    match name {
        "postgres" => "PostgreSQL",
        _ => "SQLite",
    }
}

impl Chart {
    fn draw(&self) -> Outcome<Plot> {
        let mut svg = String::new();
        self.draw_on(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())
            .doing("drawing a plot")?;
        // Text files end with a newline.
        svg.truncate(svg.trim_end().len());
        svg.push('\n');
        Ok(Plot {
            name: self.name,
            title: self.title,
            svg,
        })
    }

    fn draw_on(&self, root: &Area<'_>) -> Result<(), Error<'_>> {
        root.fill(&WHITE)?;
        let places = self.places();
        let last = f64::from(u32::try_from(places.len()).unwrap_or(u32::MAX)) - 1.0;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_right(28)
            .x_label_area_size(48)
            .y_label_area_size(76)
            .caption(self.title, ("sans-serif", 20).into_font().color(&INK))
            .build_cartesian_2d(-0.2..last + last * FOR_NAMES + 0.2, self.range())?;
        let at_place = |place: &f64| label_at(&places, *place);
        let at_height = |height: &f64| readable(self.value(*height));
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .set_tick_mark_size(LabelAreaPosition::Bottom, 3)
            .x_labels(2 * places.len())
            .x_label_formatter(&at_place)
            .y_label_formatter(&at_height)
            .x_desc(self.horizontal)
            .y_desc(self.vertical)
            .label_style(("sans-serif", 14).into_font().color(&INK))
            .axis_desc_style(("sans-serif", 15).into_font().color(&INK));
        if self.is_logarithmic {
            // A line for each power of ten.
            let decades = self.range();
            let lines = (0_u8..20)
                .map(f64::from)
                .filter(|n| *n <= decades.end - decades.start);
            mesh.y_labels(lines.count());
        }
        mesh.draw()?;
        for line in &self.lines {
            let style = colour(line.colour).stroke_width(2);
            let points: Vec<_> = line
                .points
                .iter()
                .map(|point| self.placed(&places, *point))
                .collect();
            let shown = if line.is_dashed {
                chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?
            } else {
                chart.draw_series(LineSeries::new(points.clone(), style))?
            };
            let is_dashed = line.is_dashed;
            shown.label(&line.name).legend(move |(x, y)| {
                let end = if is_dashed { x + 9 } else { x + 20 };
                PathElement::new(vec![(x, y), (end, y)], style)
            });
            let dots = points.into_iter();
            chart.draw_series(dots.map(|point| Circle::new(point, 3, style.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(GRID)
            .label_font(("sans-serif", 14).into_font().color(&INK))
            .draw()?;
        root.present()
    }

    /// Clients and sessions grow by factors, so their places and not their values are evenly apart.
    fn places(&self) -> Vec<f64> {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let mut places: Vec<f64> = points.map(|(at, _)| *at).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }

    fn placed(&self, places: &[f64], (at, value): (f64, f64)) -> (f64, f64) {
        let place = (0..).zip(places).find(|(_, other)| **other >= at);
        let place = place.map_or(0, |(place, _): (u32, _)| place);
        (f64::from(place), self.height(value))
    }

    /// How high a value is drawn.
    fn height(&self, value: f64) -> f64 {
        if self.is_logarithmic {
            value.max(1e-3).log10()
        } else {
            value
        }
    }

    fn value(&self, height: f64) -> f64 {
        if self.is_logarithmic {
            10_f64.powf(height)
        } else {
            height
        }
    }

    /// From zero, so that heights can be compared; a logarithmic axis from power to power of ten.
    fn range(&self) -> std::ops::Range<f64> {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let heights = points.map(|(_, value)| self.height(*value));
        let (least, most) = heights.fold((f64::MAX, f64::MIN), |(least, most), height| {
            (least.min(height), most.max(height))
        });
        if self.is_logarithmic {
            return least.floor()..(most + 0.05).ceil();
        }
        0.0..(most * 1.1).max(1e-3)
    }
}

/// What stands below a place; nothing between places.
fn label_at(places: &[f64], place: f64) -> String {
    let mut numbered = (0_u32..).zip(places);
    let found = numbered.find(|(number, _)| (f64::from(*number) - place).abs() < 0.01);
    found.map_or_else(String::new, |(_, at)| readable(*at))
}

fn colour(number: usize) -> RGBColor {
    COLOURS.get(number % COLOURS.len()).copied().unwrap_or(INK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all::document::tests::made_up;

    #[test]
    fn what_was_found_is_drawn_as_well_formed_xml_with_units() {
        let plots = all(&made_up()).unwrap();
        assert_eq!(plots.len(), 7);
        for plot in plots {
            let mut open = Vec::new();
            for tag in plot.svg.split('<').skip(1) {
                let (tag, text) = tag.split_once('>').unwrap();
                assert!(!text.contains('>'), "{text}");
                if let Some(name) = tag.strip_prefix('/') {
                    assert_eq!(open.pop(), Some(name));
                } else if !tag.ends_with('/') {
                    open.push(tag.split_whitespace().next().unwrap());
                }
            }
            assert!(open.is_empty(), "{}: {open:?}", plot.name);
            assert!(plot.svg.starts_with("<svg "), "{}", plot.name);
            let units = [
                "requests a second",
                "milliseconds",
                "refreshes a second",
                "microseconds",
                "MiB",
                "bytes",
            ];
            assert!(
                units.iter().any(|unit| plot.svg.contains(unit)),
                "{}",
                plot.name
            );
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(all(&Findings(Vec::new())).unwrap().is_empty());
    }
}
