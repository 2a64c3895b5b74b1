//! Rows from comma-separated values with a header. Names and numbers need no quotes, and none are read.

use super::record::{Fields, Record, Wrong};

/// A column that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Metric,
    Window,
    Value,
    Events,
    Bad,
}

pub(crate) fn read(text: &str) -> Result<Vec<Record>, Wrong> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let Some((first, header)) = lines.next() else {
        return Err(wrong(1, 1, "the file is empty; a header is needed, for example window,events,bad"));
    };
    let mut columns = Vec::new();
    for (column, name) in cells(header) {
        let known = match name {
            "metric" => Column::Metric,
            "window" => Column::Window,
            "value" => Column::Value,
            "events" => Column::Events,
            "bad" => Column::Bad,
            other => {
                let what =
                    format!("{other:?} is no column; a header of metric, window, value, events or bad is needed");
                return Err(wrong(first, column, what));
            }
        };
        if columns.contains(&known) {
            return Err(wrong(first, column, format!("the column {name} stands here twice")));
        }
        columns.push(known);
    }
    // An empty line is no row; whoever edits by hand leaves one at the end.
    lines.filter(|(_, line)| !line.trim().is_empty()).map(|(number, line)| row(&columns, number, line)).collect()
}

fn row(columns: &[Column], line: usize, text: &str) -> Result<Record, Wrong> {
    let cells: Vec<(usize, &str)> = cells(text).collect();
    if cells.len() != columns.len() {
        let end = text.chars().count() + 1;
        let column = cells.get(columns.len()).map_or(end, |(column, _)| *column);
        return Err(wrong(line, column, format!("{} cells, where the header has {}", cells.len(), columns.len())));
    }
    let mut fields = Fields::default();
    for (kind, (column, cell)) in columns.iter().zip(cells) {
        let whole = || {
            let read = cell.parse::<u64>();
            read.map_err(|_| wrong(line, column, format!("{cell:?} is no whole number of at least 0")))
        };
        match kind {
            Column::Metric => fields.metric = Some(cell.to_owned()),
            Column::Window => fields.window = Some(whole()?),
            Column::Events => fields.events = Some(whole()?),
            Column::Bad => fields.bad = Some(whole()?),
            Column::Value => {
                let read = cell.parse::<f64>().ok().filter(|number| number.is_finite());
                fields.value = Some(read.ok_or_else(|| wrong(line, column, format!("{cell:?} is no finite number")))?);
            }
        }
    }
    Record::try_from(fields).map_err(|what| wrong(line, 1, what))
}

/// The cells of a line without the space around them, each with the column in which it begins.
fn cells(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut column = 1;
    line.split(',').map(move |cell| {
        let begins = column + cell.chars().take_while(|c| c.is_whitespace()).count();
        column += cell.chars().count() + 1;
        (begins, cell.trim())
    })
}

fn wrong(line: usize, column: usize, what: impl Into<String>) -> Wrong {
    Wrong { line, column, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn place(text: &str) -> (usize, usize) {
        let wrong = read(text).expect_err("it is malformed");
        (wrong.line, wrong.column)
    }

    #[test]
    fn rows_are_read_by_their_header() {
        let rows = read("metric,window, events,bad\nerrors,0,600, 6\n\nerrors,1,600,7\n").expect("well-formed");
        assert_eq!((rows.len(), rows[1].window), (2, 1));
        assert_eq!(read("value\n1.5\n-2e3\n").expect("well-formed").len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        assert_eq!(place(""), (1, 1));
        assert_eq!(place("1.5\n2.5\n"), (1, 1), "a header is not guessed");
        assert_eq!(place("window,latency\n"), (1, 8));
        assert_eq!(place("value,value\n"), (1, 7));
        assert_eq!(place("window,value\n0,12\n1,  12ms\n"), (3, 5));
        assert_eq!(place("value\nNaN\n"), (2, 1));
        assert_eq!(place("events,bad\n10,-1\n"), (2, 4));
        assert_eq!(place("events,bad\n10,11\n"), (2, 1));
        assert_eq!(place("events,bad\n10\n"), (2, 3));
        assert_eq!(place("value\n1,2\n"), (2, 3), "a decimal comma is a second cell");
        assert_eq!(place("metric,value\n-x,2\n"), (2, 1));
    }
}
