//! Figures in columns.

use std::fmt::Write as _;

use std::time::Duration;

/// A table that is printed as soon as it is whole.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned).to_vec()] }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a row is made to be printed")]
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The first column to the left, figures to the right.
    pub(crate) fn print(&self) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &self.rows {
            let mut line = format!("{:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                let _ = write!(line, "  {cell:>width$}");
            }
            println!("{line}");
        }
        println!();
    }
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

pub(crate) fn per_second(count: u64, time: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let rate = count as f64 / time.as_secs_f64();
    format!("{rate:.0}/s")
}

/// What a figure is not known of.
pub(crate) fn none() -> String {
    "-".to_owned()
}
