//! Values of a Python script, as far as they are written down in it.

use tree_sitter::Node;

use super::names::Names;

/// How deep values may be inside one another. No configuration comes near it.
const DEEPEST: usize = 64;

/// How large they may be: values inside, and bytes of text.
const LARGEST: usize = 1024 * 1024;

/// What an expression is, without running it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A list, tuple or set, in the order of the script.
    List(Vec<Value>),
    Table(Vec<(Value, Value)>),
    /// That of a variable of the environment, or this if there is none.
    Variable(String, Option<Box<Value>>),
}

/// Why an expression has no value that can be read off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) String);

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a dictionary",
            Self::Variable(..) => "a variable of the environment",
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a dictionary has under this text.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let Self::Table(pairs) = self else { return None };
        pairs.iter().find(|(one, _)| one.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// The same, if a dictionary has nothing else.
    pub(super) fn only(&self, key: &str) -> Option<&Value> {
        let Self::Table(pairs) = self else { return None };
        self.get(key).filter(|_| pairs.len() == 1)
    }

    /// Puts `value` under `key` of a dictionary. Returns whether it is one.
    pub(super) fn insert(&mut self, key: Value, value: Value) -> bool {
        let Self::Table(pairs) = self else { return false };
        match pairs.iter_mut().find(|(one, _)| *one == key) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
        true
    }

    /// Whether `+=` changes the object itself, rather than what a name stands for.
    pub(super) fn is_changed_in_place(&self) -> bool {
        matches!(self, Self::List(_) | Self::Table(_))
    }

    /// Itself, unless a script has made it larger or deeper than configurations are.
    pub(super) fn bounded(self) -> Result<Self, Unknown> {
        let mut left = LARGEST;
        match self.fits(DEEPEST, &mut left) {
            true => Ok(self),
            false => Err(Unknown("is larger than a setting can be".to_owned())),
        }
    }

    fn fits(&self, depth: usize, left: &mut usize) -> bool {
        let own = 1 + self.as_text().map_or(0, str::len);
        let (Some(rest), Some(depth)) = (left.checked_sub(own), depth.checked_sub(1)) else {
            return false;
        };
        *left = rest;
        match self {
            Self::List(items) => items.iter().all(|item| item.fits(depth, left)),
            Self::Table(pairs) => {
                pairs.iter().all(|(key, value)| key.fits(depth, left) && value.fits(depth, left))
            }
            _ => true,
        }
    }

    /// The sum, as `+` makes it.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(Self::Text(left + &right)),
            (Self::List(left), Self::List(right)) => {
                Some(Self::List(left.into_iter().chain(right).collect()))
            }
            (left, right) => left.number(&right, i64::checked_add, |a, b| a + b),
        }
    }

    /// Two numbers put together: whole ones stay whole.
    fn number(
        &self,
        other: &Self,
        whole: fn(i64, i64) -> Option<i64>,
        float: fn(f64, f64) -> f64,
    ) -> Option<Self> {
        if let (Self::Integer(left), Self::Integer(right)) = (self, other) {
            return whole(*left, *right).map(Self::Integer);
        }
        Some(Self::Float(float(self.as_float()?, other.as_float()?)))
    }

    fn as_float(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

/// Reads off expressions of one script.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) names: &'a Names,
}

impl<'a> Reader<'a> {
    pub(super) fn source(self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The value of an expression.
    pub(super) fn value(self, node: Node<'_>) -> Result<Value, Unknown> {
        self.within(node, DEEPEST).and_then(Value::bounded)
    }

    fn within(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Unknown("is nested too deeply".to_owned()));
        };
        match node.kind() {
            "none" => Ok(Value::None),
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            "integer" => integer(self.source(node)).ok_or_else(|| self.unknown(node)),
            "float" => {
                let digits = self.source(node).replace('_', "");
                digits.parse().map(Value::Float).map_err(|_| self.unknown(node))
            }
            "string" => self.string(node, depth).map(Value::Text),
            "concatenated_string" => {
                let parts = self.children(node).map(|part| self.string(part, depth));
                parts.collect::<Result<_, _>>().map(Value::Text)
            }
            "list" | "tuple" | "set" => {
                let items = self.children(node).map(|item| self.within(item, depth));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            "dictionary" => self.dictionary(node, depth),
            "parenthesized_expression" => match self.children(node).next() {
                Some(inner) => self.within(inner, depth),
                None => Err(self.unknown(node)),
            },
            "identifier" => self.names.value(self.source(node)).unwrap_or_else(|| {
                Err(Unknown(format!("`{}` is no value that is written here", self.source(node))))
            }),
            // The program of services that come with Python.
            "attribute" if self.source(node) == "sys.executable" => {
                Ok(Value::Text("python3".to_owned()))
            }
            "unary_operator" => self.negative(node, depth),
            "binary_operator" => self.operation(node, depth),
            "subscript" => self.subscript(node, depth),
            "call" => self.call(node, depth),
            "lambda" => Err(Unknown("is a function; settings are values here".to_owned())),
            _ => Err(self.unknown(node)),
        }
    }

    fn children<'t>(self, node: Node<'t>) -> impl Iterator<Item = Node<'t>> {
        let mut cursor = node.walk();
        let all: Vec<_> =
            node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect();
        all.into_iter()
    }

    fn unknown(self, node: Node<'_>) -> Unknown {
        let source = self.source(node);
        let line = source.lines().next().unwrap_or_default();
        let short: String = line.chars().take(40).collect();
        let more = if short.len() < source.len() { "…" } else { "" };
        Unknown(format!("`{short}{more}` has a value only when it runs"))
    }

    fn dictionary(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let mut table = Value::Table(Vec::new());
        for pair in self.children(node) {
            let (Some(key), Some(value)) =
                (pair.child_by_field_name("key"), pair.child_by_field_name("value"))
            else {
                return Err(self.unknown(pair));
            };
            table.insert(self.within(key, depth)?, self.within(value, depth)?);
        }
        Ok(table)
    }

    fn negative(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let operand = node.child_by_field_name("argument").ok_or_else(|| self.unknown(node))?;
        match (self.source(node).chars().next(), self.within(operand, depth)?) {
            (Some('-'), Value::Integer(number)) => {
                number.checked_neg().map(Value::Integer).ok_or_else(|| self.unknown(node))
            }
            (Some('-'), Value::Float(number)) => Ok(Value::Float(-number)),
            (Some('+'), number @ (Value::Integer(_) | Value::Float(_))) => Ok(number),
            _ => Err(self.unknown(node)),
        }
    }

    fn operation(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let side = |field| match node.child_by_field_name(field) {
            Some(side) => self.within(side, depth),
            None => Err(self.unknown(node)),
        };
        let (left, right) = (side("left")?, side("right")?);
        let operator = node.child_by_field_name("operator").map(|operator| operator.kind());
        let result = match operator {
            Some("+") => left.plus(right),
            Some("-") => left.number(&right, i64::checked_sub, |a, b| a - b),
            Some("*") => left.number(&right, i64::checked_mul, |a, b| a * b),
            Some("**") => left.number(
                &right,
                |base, exponent| base.checked_pow(u32::try_from(exponent).ok()?),
                f64::powf,
            ),
            _ => None,
        };
        result.ok_or_else(|| self.unknown(node))
    }

    /// `os.environ["NAME"]`, or an entry of a dictionary that is known.
    fn subscript(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let (Some(of), Some(key)) =
            (node.child_by_field_name("value"), node.child_by_field_name("subscript"))
        else {
            return Err(self.unknown(node));
        };
        if matches!(self.source(of), "os.environ" | "environ") {
            let name = self.within(key, depth)?;
            let name = name.as_text().ok_or_else(|| self.unknown(node))?;
            return Ok(Value::Variable(name.to_owned(), None));
        }
        let (of, key) = (self.within(of, depth)?, self.within(key, depth)?);
        key.as_text().and_then(|key| of.get(key)).cloned().ok_or_else(|| self.unknown(node))
    }

    /// A look at the environment, or an empty collection.
    fn call(self, node: Node<'_>, depth: usize) -> Result<Value, Unknown> {
        let (Some(function), Some(arguments)) =
            (node.child_by_field_name("function"), node.child_by_field_name("arguments"))
        else {
            return Err(self.unknown(node));
        };
        let arguments: Vec<_> = self.children(arguments).collect();
        match (self.source(function), arguments.as_slice()) {
            ("set" | "list" | "tuple", []) => Ok(Value::List(Vec::new())),
            ("dict", []) => Ok(Value::Table(Vec::new())),
            ("set" | "list" | "tuple", [one]) => match self.within(*one, depth)? {
                list @ Value::List(_) => Ok(list),
                _ => Err(self.unknown(node)),
            },
            ("os.environ.get" | "os.getenv" | "environ.get" | "getenv", [name, default @ ..]) => {
                let default = match default {
                    [] => None,
                    [default] => Some(Box::new(self.within(*default, depth)?)),
                    _ => return Err(self.unknown(node)),
                };
                let name = self.within(*name, depth)?;
                let name = name.as_text().ok_or_else(|| self.unknown(node))?;
                Ok(Value::Variable(name.to_owned(), default))
            }
            _ => Err(self.unknown(node)),
        }
    }

    fn string(self, node: Node<'_>, depth: usize) -> Result<String, Unknown> {
        let mut cursor = node.walk();
        let mut text = String::new();
        let mut prefix = String::new();
        for part in node.children(&mut cursor) {
            match part.kind() {
                "string_start" => prefix = self.source(part).to_ascii_lowercase(),
                "string_content" if prefix.starts_with('b') || prefix.starts_with("rb") => {
                    return Err(Unknown("is made of bytes; write it as text".to_owned()));
                }
                "string_content" => {
                    let formatted = prefix.contains('f');
                    let raw = prefix.contains('r');
                    let piece = unescaped(self.source(part), raw).ok_or_else(|| {
                        Unknown("has an escape sequence that is not known".to_owned())
                    })?;
                    text.push_str(&match formatted {
                        true => piece.replace("{{", "{").replace("}}", "}"),
                        false => piece,
                    });
                }
                "interpolation" => text.push_str(&self.interpolation(part, depth)?),
                "string_end" => {}
                _ => return Err(self.unknown(node)),
            }
        }
        Ok(text)
    }

    fn interpolation(self, node: Node<'_>, depth: usize) -> Result<String, Unknown> {
        let parts: Vec<_> = self.children(node).collect();
        let [expression] = parts.as_slice() else { return Err(self.unknown(node)) };
        match self.within(*expression, depth)? {
            Value::Text(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            _ => Err(self.unknown(node)),
        }
    }
}

fn integer(text: &str) -> Option<Value> {
    let digits = text.replace('_', "").to_ascii_lowercase();
    let number = match digits.get(..2) {
        Some("0x") => i64::from_str_radix(digits.get(2..)?, 16),
        Some("0o") => i64::from_str_radix(digits.get(2..)?, 8),
        Some("0b") => i64::from_str_radix(digits.get(2..)?, 2),
        _ => digits.parse(),
    };
    number.ok().map(Value::Integer)
}

/// A text as its escape sequences mean it; `None` for one that is not known.
fn unescaped(source: &str, raw: bool) -> Option<String> {
    if raw || !source.contains('\\') {
        return Some(source.to_owned());
    }
    let mut text = String::with_capacity(source.len());
    let mut rest = source.chars();
    while let Some(one) = rest.next() {
        if one != '\\' {
            text.push(one);
            continue;
        }
        match rest.next()? {
            '\n' => {}
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '0' => text.push('\0'),
            same @ ('\\' | '\'' | '"') => text.push(same),
            'x' => text.push(hexadecimal(&mut rest, 2)?),
            'u' => text.push(hexadecimal(&mut rest, 4)?),
            'U' => text.push(hexadecimal(&mut rest, 8)?),
            'a' | 'b' | 'f' | 'v' | 'N' | '1'..='9' => return None,
            // As Python has it: no escape sequence at all.
            other => text.extend(['\\', other]),
        }
    }
    Some(text)
}

fn hexadecimal(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let digits: String = rest.by_ref().take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}
