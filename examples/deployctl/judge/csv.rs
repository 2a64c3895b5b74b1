//! Rows from comma-separated values with a header, as RFC 4180 has them and spreadsheets write them.

use std::path::Path;
use std::sync::Arc;

use ::csv::{ReaderBuilder, StringRecord};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;

use super::outcome::Failure;
use super::place::Place;
use super::record::{Fields, Places, Record};

/// A column that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Metric,
    Window,
    Stage,
    Stratum,
    Value,
    Events,
    Bad,
}

/// A cell without the space around it, and where it begins.
type Cell<'a> = (Place, &'a str);

pub(crate) fn read(text: &str, file: &Arc<Path>) -> Result<Vec<Record>, Failure> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut at = At { text, byte: 0, line: 1 };
    let (mut columns, mut records) = (None, Vec::new());
    let mut row = StringRecord::new();
    loop {
        let from = offset(&reader);
        let more = reader.read_record(&mut row);
        let raw = at.row(from, offset(&reader));
        if !more.map_err(|error| Place::new(file, (at.line, 1)).wrong(error.to_string()))? {
            break;
        }
        // An empty line is no row; whoever edits by hand leaves one at the end.
        if raw.trim().is_empty() {
            continue;
        }
        let (places, end) = places(raw, at.line).map_err(|(place, what)| Place::new(file, place).wrong(what))?;
        if places.len() != row.len() {
            return Err(Place::new(file, (at.line, 1)).wrong("the quotes of this row do not say where its cells end"));
        }
        let places = places.into_iter().map(|place| Place::new(file, place));
        let cells: Vec<Cell<'_>> = places.zip(row.iter().map(str::trim)).collect();
        match &columns {
            None => columns = Some(header(&cells)?),
            Some(columns) => records.push(record(columns, &cells, &Place::new(file, end))?),
        }
    }
    if columns.is_none() {
        let what = "the file is empty; a header is needed, for example window,events,bad";
        return Err(Place::new(file, (1, 1)).wrong(what));
    }
    Ok(records)
}

fn offset(reader: &::csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// How far a text has been read. The reader's own lines are those at which it went on reading, which may be empty ones, or the second
/// half of an end of line.
struct At<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl<'a> At<'a> {
    /// The row that stands between these bytes, without the ends of lines around it; its line is then where it begins.
    fn row(&mut self, from: usize, to: usize) -> &'a str {
        let end = |c: char| c == '\n' || c == '\r';
        let raw = &self.text[from..to];
        let from = to - raw.trim_start_matches(end).len();
        let passed = &self.text[self.byte..from];
        // Without a line feed behind it, a carriage return ends a line too.
        self.line += passed.matches('\n').count() + passed.matches('\r').count() - passed.matches("\r\n").count();
        self.byte = from;
        self.text[from..to].trim_end_matches(end)
    }
}

fn header(cells: &[Cell<'_>]) -> Result<Vec<Column>, Failure> {
    let mut columns = Vec::with_capacity(cells.len());
    for (place, name) in cells {
        let known = match *name {
            "metric" => Column::Metric,
            "window" => Column::Window,
            "stage" => Column::Stage,
            "stratum" => Column::Stratum,
            "value" => Column::Value,
            "events" => Column::Events,
            "bad" => Column::Bad,
            other => {
                let separators = [(';', "semicolons"), ('\t', "tabs")];
                let hint = separators.iter().find(|(separator, _)| other.contains(*separator)).map_or_else(
                    || "a header of metric, window, stage, stratum, value, events or bad is needed".to_owned(),
                    |(_, name)| format!("its cells seem to be separated by {name}: save it with commas between them"),
                );
                return Err(place.wrong(format!("{other:?} is no column; {hint}")));
            }
        };
        if columns.contains(&known) {
            return Err(place.wrong(format!("the column {name} stands here twice")));
        }
        columns.push(known);
    }
    Ok(columns)
}

fn record(columns: &[Column], cells: &[Cell<'_>], end: &Place) -> Result<Record, Failure> {
    if cells.len() != columns.len() {
        let place = cells.get(columns.len()).map_or(end, |(place, _)| place);
        return Err(place.wrong(format!("{} cells, where the header has {}", cells.len(), columns.len())));
    }
    let mut fields = Fields::default();
    let row = Place { column: 1, ..cells.first().map_or(end, |(place, _)| place).clone() };
    let mut places = Places { number: row.clone(), stage: row.clone(), stratum: row.clone(), row };
    for (kind, (place, cell)) in columns.iter().zip(cells) {
        let no_number = || place.wrong(format!("{cell:?} is no whole number of at least 0"));
        let whole = || cell.parse::<u64>().map_err(|_| no_number());
        match kind {
            Column::Metric => {
                fields.metric = Some(MetricName::new(*cell).map_err(|error| place.wrong(error.to_string()))?);
            }
            Column::Window => fields.window = Some(whole()?),
            Column::Stage => {
                fields.stage = Some(cell.parse().map_err(|_| no_number())?);
                places.stage = place.clone();
            }
            Column::Stratum => {
                fields.stratum = Some(StratumName::new(*cell).map_err(|error| place.wrong(error.to_string()))?);
                places.stratum = place.clone();
            }
            Column::Events => {
                fields.events = Some(whole()?);
                places.number = place.clone();
            }
            Column::Bad => fields.bad = Some(whole()?),
            Column::Value => {
                let read = cell.parse::<f64>().ok().and_then(|number| Real::new(number).ok());
                fields.value = Some(read.ok_or_else(|| place.wrong(format!("{cell:?} is no finite number")))?);
                places.number = place.clone();
            }
        }
    }
    Record::new(fields, places)
}

/// A line and a column.
type Point = (usize, usize);

/// Where the cells of a row begin, and where the last one ends; the row begins in this line.
///
/// Quotes are held to what they are for: one that is never closed would swallow the rest of the file, and what stands behind a closing
/// one would be read as a part of the cell.
fn places(row: &str, line: usize) -> Result<(Vec<Point>, Point), (Point, &'static str)> {
    /// In which part of a cell a character stands.
    enum Part {
        Start,
        Plain,
        Quoted,
        Closed,
        /// Behind the space behind a closing quote, which is not the first of two that stand for one.
        Ended,
    }
    let mut here = (line, 1);
    let mut begun = here;
    let mut places = Vec::new();
    let mut part = Part::Start;
    for (at, c) in row.char_indices() {
        let next = if c == '\n' { (here.0 + 1, 1) } else { (here.0, here.1 + 1) };
        part = match (part, c) {
            (Part::Start | Part::Plain | Part::Closed | Part::Ended, ',') => {
                places.push(begun);
                begun = next;
                Part::Start
            }
            (Part::Start, '"') if at == 0 || row[..at].ends_with(',') => Part::Quoted,
            (Part::Start, c) if c.is_whitespace() => {
                begun = next;
                Part::Start
            }
            (Part::Start | Part::Plain, _) => Part::Plain,
            (Part::Quoted, '"') => Part::Closed,
            (Part::Quoted, _) | (Part::Closed, '"') => Part::Quoted,
            (Part::Closed | Part::Ended, c) if c.is_whitespace() => Part::Ended,
            (Part::Closed | Part::Ended, _) => {
                return Err((begun, "there is text behind the closing quote of this cell"));
            }
        };
        here = next;
    }
    if matches!(part, Part::Quoted) {
        return Err((begun, "this quote is never closed"));
    }
    places.push(begun);
    Ok((places, here))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::super::outcome::Failure;
    use super::super::record::Record;

    fn read(text: &str) -> Result<Vec<Record>, Failure> {
        super::read(text, &Arc::from(Path::new("it.csv")))
    }

    fn place(text: &str) -> (usize, usize) {
        match read(text).expect_err("it is malformed") {
            Failure::Malformed { line, column, .. } => (line, column),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rows_are_read_by_their_header() {
        let rows = read("metric,window, events,bad\nerrors,0,600, 6\n\nerrors,1,600,7\n").expect("well-formed");
        assert_eq!((rows.len(), rows[1].window), (2, Some(1)));
        assert_eq!((rows[1].place.line, rows[1].place.column), (4, 10));
        assert_eq!(read("value\n1.5\n-2e3\n").expect("well-formed").len(), 2);
        assert_eq!(read("\"value\"\r\n\" 1.5 \"\r\n  \r\n\"-2e3\"").expect("well-formed").len(), 2);
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
        assert_eq!(place("window,value\n,2\n"), (2, 1), "an empty cell is no number");
        assert_eq!(place("window,value\n\n0,\n"), (3, 3));
        assert_eq!(place("value\r1\r\rx\r"), (4, 1), "a carriage return alone ends a line");
        assert_eq!(place("metric,value\n\"a\nb\",1\n"), (2, 1), "a name has one line");
        assert_eq!(place("value,metric\n\"1\n\",a\"b\n"), (3, 3), "a row may have two");
        assert_eq!(place("value,metric\n1,\"a\" \"b,c\"\n"), (2, 3), "text behind a closing quote");
    }

    proptest! {
        /// Whatever stands in a file, places and cells belong together.
        #[test]
        fn each_cell_has_its_place(text in "[1x\",;\n\r ]{0,24}") {
            if let Err(failure) = read(&format!("value,metric\n{text}")) {
                prop_assert!(!failure.to_string().contains("the quotes of this row"), "{failure}");
            }
        }

        /// Each cell is found where it was put, however it is quoted.
        #[test]
        fn a_wrong_cell_is_found_where_it_stands(
            rows in proptest::collection::vec((0u32..1000, 0usize..3, proptest::bool::ANY), 1..20),
            crlf in proptest::bool::ANY,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut text = format!("window,value{end}");
            let mut line = 1;
            for (number, empty, quoted) in &rows {
                text.push_str(&end.repeat(*empty));
                line += 1 + empty;
                let quote = if *quoted { "\"" } else { "" };
                text.push_str(&format!("{quote}{number}{quote},{quote}{number}.5{quote}{end}"));
            }
            let read_rows = read(&text).expect("well-formed");
            prop_assert_eq!(read_rows.len(), rows.len());
            prop_assert_eq!(read_rows.last().map(|row| row.place.line), Some(line));
            let (number, _, quoted) = rows[rows.len() - 1];
            let column = number.to_string().len() + if quoted { 4 } else { 2 };
            prop_assert_eq!(read_rows.last().map(|row| row.place.column), Some(column));
            let broken = text.trim_end().to_owned() + ",x";
            prop_assert!(place(&broken).0 == line);
        }
    }
}
