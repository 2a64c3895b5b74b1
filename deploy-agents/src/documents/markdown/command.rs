//! Commands with typed arguments: `/task builder --timeout=10m --question="May it go?"`.

use super::super::problem::nearest;

/// A command as it stands, and what of its arguments nobody has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// What stands after the slash, with what stands before a colon taken off.
    pub(super) name: String,
    /// Words without a name.
    pub(super) words: Vec<String>,
    arguments: Vec<(String, String)>,
    known: Vec<&'static str>,
}

/// Why a line is no command, in words.
pub(super) type Broken = String;

impl Command {
    /// Reads a line that begins with a slash.
    pub(super) fn parse(line: &str) -> Result<Self, Broken> {
        let rest = line.trim().strip_prefix('/').ok_or_else(|| "a command begins with a slash".to_owned())?;
        let mut command = Self::arguments(rest)?;
        if command.words.is_empty() {
            return Err("a command has a name after its slash".to_owned());
        }
        let name = command.words.remove(0);
        command.name = name.rsplit(':').next().unwrap_or(&name).to_owned();
        Ok(command)
    }

    /// Reads words and arguments alone.
    pub(super) fn arguments(text: &str) -> Result<Self, Broken> {
        let mut command = Self { name: String::new(), words: Vec::new(), arguments: Vec::new(), known: Vec::new() };
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(argument) = rest.strip_prefix("--") {
                let end = argument.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(argument.len());
                let name = argument[..end].to_owned();
                if name.is_empty() {
                    return Err("an argument has a name after its hyphens".to_owned());
                }
                let (value, after) = match argument[end..].strip_prefix('=') {
                    Some(value) => value_of(value)?,
                    // An argument without a value is a switch.
                    None => ("true".to_owned(), &argument[end..]),
                };
                command.arguments.push((name, value));
                rest = after;
            } else {
                let (word, after) = value_of(rest)?;
                command.words.push(word);
                rest = after;
            }
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                let next: String = rest.chars().take(20).collect();
                return Err(format!("there is no space before {next:?}"));
            }
            rest = rest.trim_start();
        }
        Ok(command)
    }

    /// Takes all values of an argument that may stand several times.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let taken = self.arguments.extract_if(.., |(there, _)| there == name);
        taken.map(|(_, value)| value).collect()
    }

    /// Takes the value of an argument that may stand once.
    pub(super) fn one(&mut self, name: &'static str) -> Result<Option<String>, Broken> {
        let mut all = self.all(name);
        match all.len() {
            0 | 1 => Ok(all.pop()),
            _ => Err(format!("--{name} stands there twice")),
        }
    }

    /// Takes the value of an argument of a type.
    pub(super) fn typed<T>(&mut self, name: &'static str) -> Result<Option<T>, Broken>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |text: String| text.parse().map_err(|error| format!("--{name}={text}: {error}"));
        self.one(name)?.map(parse).transpose()
    }

    /// Refuses what nobody has taken.
    pub(super) fn finish(self) -> Result<(), Broken> {
        let unknown = |(name, _): &(String, String)| {
            let near = nearest(name, self.known.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean --{near}?"));
            format!("--{name} is not known here{near}")
        };
        match self.arguments.first() {
            Some(argument) => Err(unknown(argument)),
            None => Ok(()),
        }
    }
}

/// A value at the beginning of a text, and what follows it.
fn value_of(text: &str) -> Result<(String, &str), Broken> {
    if text.starts_with('"') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
        return match stream.next() {
            Some(Ok(value)) => Ok((value, &text[stream.byte_offset()..])),
            _ => Err(format!(
                "the quotation {:?} does not end, or is none of JSON",
                text.chars().take(20).collect::<String>()
            )),
        };
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Ok((text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn a_command_gives_up_what_it_has_and_nothing_else() {
        let mut command =
            Command::parse("/gd:task builder --timeout=10m --fast --q=\"a \\\"b\\\"\" --c=d\"").expect("sound");
        assert_eq!((command.name.as_str(), command.words.as_slice()), ("task", &["builder".to_owned()][..]));
        assert_eq!(command.one("q"), Ok(Some("a \"b\"".to_owned())));
        assert_eq!(command.one("c"), Ok(Some("d\"".to_owned())));
        assert_eq!(command.typed::<bool>("fast"), Ok(Some(true)));
        assert_eq!(command.clone().finish(), Err("--timeout is not known here".to_owned()));
        assert_eq!(command.one("timeuot"), Ok(None));
        assert_eq!(command.clone().finish(), Err("--timeout is not known here; did you mean --timeuot?".to_owned()));
        assert!(command.typed::<u32>("timeout").is_err());
        for broken in ["/", "/ --", "/x --=3", "/x \"abc", "/x \"a\"b", "x"] {
            assert!(Command::parse(broken).is_err(), "{broken}");
        }
        assert!(Command::parse("/x --a=1 --a=2").expect("sound").one("a").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "/?.{0,60}") {
            let _ = Command::parse(&line);
        }
    }
}
