//! The blocks of a Markdown text in their order, with their lines. Nesting is not kept.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A stretch of text, or a code span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    Text(String),
    Code(String),
}

/// The words of a block, with its code spans apart. Line breaks are kept, emphasis is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words(pub(super) Vec<Span>);

impl Words {
    fn text(&mut self, more: &str) {
        match self.0.last_mut() {
            Some(Span::Text(text)) => text.push_str(more),
            _ => self.0.push(Span::Text(more.to_owned())),
        }
    }

    /// Everything as text, code spans without their marks.
    pub(super) fn plain(&self) -> String {
        let text = |span: &Span| match span {
            Span::Text(text) | Span::Code(text) => text.clone(),
        };
        self.0.iter().map(text).collect::<String>().trim().to_owned()
    }

    /// The text before the first code span.
    pub(super) fn before_code(&self) -> &str {
        match self.0.first() {
            Some(Span::Text(text)) => text.as_str(),
            Some(Span::Code(_)) | None => "",
        }
    }

    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|span| match span {
            Span::Code(code) => Some(code.as_str()),
            Span::Text(_) => None,
        })
    }

    /// These words after the first colon of their first text.
    pub(super) fn after_colon(&self) -> Self {
        let mut rest = self.clone();
        if let Some(Span::Text(text)) = rest.0.first_mut() {
            *text = text.split_once(':').map(|(_, rest)| rest.trim_start().to_owned()).unwrap_or_default();
            if text.is_empty() {
                rest.0.remove(0);
            }
        }
        rest
    }
}

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Heading {
        level: usize,
        words: Words,
    },
    Paragraph(Words),
    /// An item of a list at any depth; `boxed` where it has a box to tick.
    Item {
        boxed: bool,
        words: Words,
    },
    /// A row of a table; the first of a table is its head.
    Row {
        head: bool,
        cells: Vec<Words>,
    },
    /// A code block: what kind it says it is, and its lines.
    Fence {
        kind: String,
        body: String,
    },
    /// A quotation as text.
    Quote(String),
}

/// A block and the line that it begins in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) line: u32,
    pub(super) block: Block,
}

/// Reads the blocks of a text.
pub(super) fn blocks(text: &str) -> Vec<Placed> {
    let mut reader = Reader::default();
    let mut line = LineCount { text, at: 0, line: 1 };
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        let line = line.of(range.start);
        reader.event(event, line);
    }
    reader.done
}

/// Counts lines up to a byte; bytes mostly come in ascending order.
struct LineCount<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl LineCount<'_> {
    fn of(&mut self, byte: usize) -> u32 {
        if byte < self.at {
            (self.at, self.line) = (0, 1);
        }
        let newlines =
            self.text.as_bytes().get(self.at..byte).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        self.at = byte;
        self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.line
    }
}

#[derive(Default)]
struct Reader {
    done: Vec<Placed>,
    /// The block whose words are being read.
    words: Words,
    line: u32,
    level: Option<usize>,
    /// How many quotations deep, and the text of them so far.
    quoted: usize,
    quote: Vec<String>,
    /// Whether words belong to the item of a list, and whether it has a box.
    item: Option<bool>,
    cells: Vec<Words>,
    head: bool,
    fence: Option<String>,
    in_table: bool,
}

impl Reader {
    fn push(&mut self, block: Block) {
        self.done.push(Placed { line: self.line, block });
    }

    /// Ends the words that are being read, as the block that they belong to.
    fn flush(&mut self) {
        let words = std::mem::take(&mut self.words);
        if words.0.is_empty() && self.item != Some(true) {
            self.item = None;
            return;
        }
        if self.quoted > 0 {
            self.quote.push(words.plain());
        } else if let Some(boxed) = self.item.take() {
            self.push(Block::Item { boxed, words });
        } else {
            self.push(Block::Paragraph(words));
        }
    }

    fn event(&mut self, event: Event<'_>, line: u32) {
        match event {
            Event::Start(tag) => self.start(&tag, line),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.words.text(&text),
            Event::Code(code) => self.words.0.push(Span::Code(code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.words.text("\n"),
            Event::TaskListMarker(_) => self.item = Some(true),
            Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::Rule => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, line: u32) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.line = line;
                self.level = Some(depth(*level));
            }
            // The first paragraph of an item is the item.
            Tag::Paragraph if self.item.is_none() || !self.words.0.is_empty() => {
                self.flush();
                self.line = line;
            }
            Tag::Item => {
                self.flush();
                self.line = line;
                self.item = Some(false);
            }
            Tag::List(_) => self.flush(),
            Tag::BlockQuote(_) => {
                self.flush();
                if self.quoted == 0 {
                    self.line = line;
                }
                self.quoted += 1;
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                self.line = line;
                self.fence = Some(match kind {
                    CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                });
            }
            Tag::Table(_) => {
                self.flush();
                self.in_table = true;
            }
            Tag::TableHead => (self.line, self.head) = (line, true),
            Tag::TableRow => (self.line, self.head) = (line, false),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                let words = std::mem::take(&mut self.words);
                let level = self.level.take().unwrap_or(1);
                self.push(Block::Heading { level, words });
            }
            TagEnd::Paragraph => {
                if self.quoted > 0 && !self.in_table {
                    let words = std::mem::take(&mut self.words);
                    if !self.quote.is_empty() {
                        self.quote.push(String::new());
                    }
                    self.quote.push(words.plain());
                } else {
                    self.flush();
                }
            }
            TagEnd::Item => self.flush(),
            TagEnd::BlockQuote(_) => {
                self.quoted = self.quoted.saturating_sub(1);
                if self.quoted == 0 {
                    let text = std::mem::take(&mut self.quote).join("\n");
                    self.push(Block::Quote(text));
                }
            }
            TagEnd::CodeBlock => {
                let body = std::mem::take(&mut self.words).0.into_iter().map(|span| match span {
                    Span::Text(text) | Span::Code(text) => text,
                });
                let (kind, body) = (self.fence.take().unwrap_or_default(), body.collect());
                self.push(Block::Fence { kind, body });
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.words);
                self.cells.push(cell);
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let (cells, head) = (std::mem::take(&mut self.cells), self.head);
                self.push(Block::Row { head, cells });
            }
            TagEnd::Table => self.in_table = false,
            _ => {}
        }
    }
}

fn depth(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
