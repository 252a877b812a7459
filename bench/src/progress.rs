//! Lines on standard error that say how far something is, for whoever waits at a terminal. Where
//! standard error is none, nothing is drawn.

use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// There is one standard error, so lines that stand there together must know of each other.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

const ROWS: &str = "{prefix}: {human_pos} of {human_len} [{bar:30}] {eta} left";

/// A line of the form that a template of indicatif gives.
pub(crate) fn line(length: u64, template: &str) -> ProgressBar {
    line_on(&LINES, length, template)
}

fn line_on(lines: &MultiProgress, length: u64, template: &str) -> ProgressBar {
    let line = lines.add(ProgressBar::new(length));
    let style = ProgressStyle::with_template(template);
    line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    line
}

/// How many rows are in the database by now. The line goes when this is dropped.
pub(crate) struct Rows(ProgressBar);

impl Rows {
    /// Of so many that are written from now on.
    pub(crate) fn of(what: &'static str, count: u32) -> Self {
        Self::on(&LINES, what, count)
    }

    fn on(lines: &MultiProgress, what: &'static str, count: u32) -> Self {
        let line = line_on(lines, count.into(), ROWS);
        line.set_prefix(what);
        Self(line)
    }

    /// So many more are there.
    pub(crate) fn written(&self, rows: usize) {
        self.0.inc(u64::try_from(rows).unwrap_or_default());
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// Keeps everything that was drawn.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_says_how_many_rows_are_written() {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let lines = MultiProgress::with_draw_target(target);
        let rows = Rows::on(&lines, "writing sessions", 10_000_000);
        rows.written(4_000);
        rows.0.force_draw();
        let drawn = terminal.0.lock().unwrap().clone();
        let expected = "writing sessions: 4,000 of 10,000,000 [";
        assert!(drawn.contains(expected), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_where_nobody_looks() {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let rows = Rows::on(&lines, "writing people", 10);
        rows.written(10);
        assert!(rows.0.is_hidden());
        assert_eq!(rows.0.position(), 10);
    }
}
