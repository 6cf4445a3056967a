//! What a `jupyterhub_config.py` sets, read without running it.
//!
//! Statements at its top level are followed in order, with the names they give to
//! values. Whatever stands inside `if`, `for`, `with` or a function is not followed:
//! names that are changed there are no longer known, and settings there are told.

use std::collections::BTreeSet;

use tree_sitter::{Node, Parser, Tree};

use super::{
    names::Names,
    value::{Reader, Unknown, Value},
};

/// What the script calls the object that it puts its settings into.
const CONFIGURATION: &str = "c";

/// Methods that change the object they are called on.
const CHANGING: &[&str] = &[
    "add",
    "append",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "remove",
    "setdefault",
    "update",
];

/// A trait of a class that the script sets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// From 1.
    pub(super) line: usize,
    pub(super) class: String,
    pub(super) name: String,
    pub(super) value: Result<Value, Unknown>,
    /// Whether that only happens under circumstances that are not known.
    pub(super) perhaps: bool,
    /// Names that stand for the very same list or dictionary.
    shared_with: Vec<String>,
}

/// The script is not Python.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: not Python{}", .near.as_ref().map(|near| format!(", near {near:?}")).unwrap_or_default())]
pub(crate) struct NotPython {
    /// From 1.
    line: usize,
    near: Option<String>,
}

/// What is set, in the order of the script.
pub(super) fn settings(text: &str) -> Result<Vec<Setting>, NotPython> {
    let tree = parsed(text)?;
    let mut script = Script { text, names: Names::default(), settings: Vec::new() };
    let mut cursor = tree.walk();
    for statement in tree.root_node().named_children(&mut cursor) {
        script.statement(statement);
    }
    Ok(script.settings)
}

fn parsed(text: &str) -> Result<Tree, NotPython> {
    let unreadable = |line| NotPython { line, near: None };
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).map_err(|_| unreadable(1))?;
    let tree = parser.parse(text, None).ok_or_else(|| unreadable(1))?;
    match first_error(&tree) {
        None => Ok(tree),
        Some(node) => {
            let rest = text.get(node.start_byte()..).unwrap_or_default();
            let near: String = rest.lines().next().unwrap_or_default().chars().take(40).collect();
            Err(NotPython { line: line(node), near: Some(near).filter(|near| !near.is_empty()) })
        }
    }
}

fn first_error(tree: &Tree) -> Option<Node<'_>> {
    tree.root_node()
        .has_error()
        .then(|| all_below(tree.root_node()).find(|node| node.is_error() || node.is_missing()))
        .flatten()
}

/// All nodes below one and itself, in the order of the script. Takes no stack, however
/// deep they are.
fn all_below(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let mut waiting = vec![node];
    std::iter::from_fn(move || {
        let next = waiting.pop()?;
        let mut cursor = next.walk();
        let children: Vec<_> = next.children(&mut cursor).collect();
        waiting.extend(children.into_iter().rev());
        Some(next)
    })
}

fn line(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

struct Script<'a> {
    text: &'a str,
    names: Names,
    settings: Vec<Setting>,
}

impl Script<'_> {
    fn reader(&self) -> Reader<'_> {
        Reader { text: self.text, names: &self.names }
    }

    fn statement(&mut self, statement: Node<'_>) {
        if statement.kind() == "expression_statement" {
            let mut cursor = statement.walk();
            for expression in statement.named_children(&mut cursor) {
                match expression.kind() {
                    "assignment" => self.assignment(expression),
                    "augmented_assignment" => self.addition(expression),
                    "call" => self.call(expression),
                    _ => {}
                }
            }
        } else {
            self.not_followed(statement);
        }
    }

    /// `a = b = value`.
    fn assignment(&mut self, node: Node<'_>) {
        let mut targets = Vec::new();
        let mut right = Some(node);
        while let Some(inner) = right.filter(|inner| inner.kind() == "assignment") {
            targets.extend(inner.child_by_field_name("left"));
            right = inner.child_by_field_name("right");
        }
        // Without a right side it is an annotation.
        let Some(right) = right else { return };
        let is_section = right.kind() == "attribute"
            && right
                .child_by_field_name("object")
                .is_some_and(|object| self.reader().source(object) == CONFIGURATION);
        if is_section || self.reader().source(right) == CONFIGURATION {
            self.remark(node, "settings under another name are not followed");
        }
        let value = self.reader().value(right);
        let mut shared: Vec<String> = targets
            .iter()
            .chain([&right])
            .filter(|node| node.kind() == "identifier")
            .map(|node| self.reader().source(*node).to_owned())
            .collect();
        shared.dedup();
        for target in targets {
            self.assign(target, value.clone(), &shared);
        }
    }

    fn assign(&mut self, target: Node<'_>, value: Result<Value, Unknown>, shared: &[String]) {
        if let Some((class, name)) = self.setting_of(target) {
            let shared_with = shared.to_vec();
            let line = line(target);
            self.settings.push(Setting { line, class, name, value, perhaps: false, shared_with });
            return;
        }
        match target.kind() {
            "identifier" => {
                let name = self.reader().source(target).to_owned();
                // What it stood for before is another object from now on.
                for setting in &mut self.settings {
                    setting.shared_with.retain(|one| *one != name || shared.contains(one));
                }
                self.names.bind(&name, value);
            }
            "subscript" => self.entry(target, value),
            _ => self.several(target),
        }
    }

    /// `c.Spawner.mem_limit, name = ...`
    fn several(&mut self, targets: Node<'_>) {
        for node in all_below(targets) {
            if let Some((class, name)) = self.setting_of(node) {
                let value = Err(Unknown("is set together with others".to_owned()));
                let (line, shared_with) = (line(node), Vec::new());
                self.settings.push(Setting {
                    line,
                    class,
                    name,
                    value,
                    perhaps: false,
                    shared_with,
                });
            } else if node.kind() == "identifier" {
                let name = self.reader().source(node).to_owned();
                self.names.forget(&name, &changed_in(line(node)));
            }
        }
    }

    /// Something that a person has to look at, and that is no setting.
    fn remark(&mut self, node: Node<'_>, why: &str) {
        let source = self.reader().source(node);
        let name = source.lines().next().unwrap_or_default().chars().take(60).collect();
        let (value, shared_with) = (Err(Unknown(why.to_owned())), Vec::new());
        let (line, class) = (line(node), String::new());
        self.settings.push(Setting { line, class, name, value, perhaps: true, shared_with });
    }

    /// `c.Spawner.environment["NAME"] = value`, or the same with a name.
    fn entry(&mut self, target: Node<'_>, value: Result<Value, Unknown>) {
        let (Some(of), Some(key)) =
            (target.child_by_field_name("value"), target.child_by_field_name("subscript"))
        else {
            return;
        };
        if of.kind() == "subscript" {
            let line = line(target);
            return self.change(below_subscripts(of), |_| Err(changed_in(line)));
        }
        let key = self.reader().value(key);
        let changed = move |table: Value| {
            let mut table = table;
            let (key, value) = (key?, value?);
            table.insert(key, value).then_some(table).ok_or_else(no_dictionary)
        };
        self.change(of, changed);
    }

    /// `c.Spawner.args += [...]`
    fn addition(&mut self, node: Node<'_>) {
        let (Some(left), Some(right)) =
            (node.child_by_field_name("left"), node.child_by_field_name("right"))
        else {
            return;
        };
        let operator = node.child_by_field_name("operator").map(|operator| operator.kind());
        let added = self.reader().value(right);
        let line = line(node);
        if left.kind() == "identifier" {
            let name = self.reader().source(left).to_owned();
            let before = self.names.value(&name);
            if !matches!(&before, Some(Ok(value)) if value.is_changed_in_place()) {
                // The name stands for another value from now on.
                for setting in &mut self.settings {
                    setting.shared_with.retain(|one| *one != name);
                }
                let sum = match (operator, before, added) {
                    (Some("+="), Some(Ok(before)), Ok(added)) => before.plus(added),
                    _ => None,
                };
                let sum = sum.ok_or_else(|| changed_in(line)).and_then(Value::bounded);
                return self.names.bind(&name, sum);
            }
        }
        self.change(left, |value| match operator {
            Some("+=") => value.plus(added?).ok_or_else(|| changed_in(line)),
            _ => Err(changed_in(line)),
        });
    }

    /// `c.Spawner.environment.update({...})` and the like.
    fn call(&mut self, node: Node<'_>) {
        let (Some(function), Some(arguments)) =
            (node.child_by_field_name("function"), node.child_by_field_name("arguments"))
        else {
            return;
        };
        if self.reader().source(function) == "load_subconfig" {
            self.remark(node, "reads another script; import that one, too");
        }
        self.handed_over(node);
        let (Some(object), Some(method)) = (
            function.child_by_field_name("object"),
            function.child_by_field_name("attribute").map(|name| self.reader().source(name)),
        ) else {
            return;
        };
        if !CHANGING.contains(&method) {
            return;
        }
        let mut cursor = arguments.walk();
        let arguments: Vec<_> =
            arguments.named_children(&mut cursor).map(|one| self.reader().value(one)).collect();
        let line = line(node);
        let method = method.to_owned();
        self.change(object, |value| match (method.as_str(), value, arguments.as_slice()) {
            ("update", mut table @ Value::Table(_), [Ok(Value::Table(pairs))]) => {
                for (key, value) in pairs {
                    table.insert(key.clone(), value.clone());
                }
                Ok(table)
            }
            ("update" | "extend", list @ Value::List(_), [Ok(more @ Value::List(_))]) => {
                list.plus(more.clone()).ok_or_else(|| changed_in(line))
            }
            ("add" | "append", list @ Value::List(_), [Ok(item)]) => {
                list.plus(Value::List(vec![item.clone()])).ok_or_else(|| changed_in(line))
            }
            _ => Err(changed_in(line)),
        });
    }

    /// Lists and dictionaries that a call is given may be changed by it.
    fn handed_over(&mut self, call: Node<'_>) {
        let Some(arguments) = call.child_by_field_name("arguments") else { return };
        let why = changed_in(line(call));
        for node in all_below(arguments).filter(|node| node.kind() == "identifier") {
            let name = self.reader().source(node).to_owned();
            if matches!(self.names.value(&name), Some(Ok(value)) if value.is_changed_in_place()) {
                self.lost(&name, &why);
            }
        }
    }

    /// Nobody knows any more what a name, and settings of the same object, stand for.
    fn lost(&mut self, name: &str, why: &Unknown) {
        let shares = |one: &&mut Setting| one.shared_with.iter().any(|shared| shared == name);
        for setting in self.settings.iter_mut().filter(shares) {
            setting.value = Err(why.clone());
        }
        self.names.forget(name, why);
    }

    /// Changes what an expression stands for, wherever else it is known.
    fn change(&mut self, of: Node<'_>, change: impl FnOnce(Value) -> Result<Value, Unknown>) {
        if let Some((class, name)) = self.setting_of(of) {
            let before = self
                .settings
                .iter()
                .rfind(|one| one.class == class && one.name == name && !one.perhaps);
            // JupyterHub's defaults of such values are empty.
            let before = before.map_or(Ok(Value::Table(Vec::new())), |one| one.value.clone());
            let shared_with = Vec::new();
            let (line, value) = (line(of), before.and_then(change).and_then(Value::bounded));
            self.settings.push(Setting { line, class, name, value, perhaps: false, shared_with });
        } else if of.kind() == "identifier" {
            let name = self.reader().source(of).to_owned();
            let Some(before) = self.names.value(&name) else { return };
            let value = before.and_then(change).and_then(Value::bounded);
            for setting in self.settings.iter_mut().filter(|one| one.shared_with.contains(&name)) {
                setting.value = value.clone();
            }
            self.names.bind(&name, value);
        }
    }

    /// Notes what a statement that is not followed may do.
    fn not_followed(&mut self, statement: Node<'_>) {
        let mut changed = BTreeSet::new();
        for node in all_below(statement) {
            if node.kind() == "call" {
                self.handed_over(node);
                let function = node.child_by_field_name("function");
                if function.is_some_and(|name| self.reader().source(name) == "load_subconfig") {
                    self.remark(node, "reads another script; import that one, too");
                }
            }
            let mut cursor = node.walk();
            let targets: Vec<_> = match node.kind() {
                "assignment" | "augmented_assignment" | "for_statement" => {
                    node.child_by_field_name("left").into_iter().collect()
                }
                "call" => self.changed_by(node).into_iter().collect(),
                "function_definition" | "class_definition" | "named_expression" => {
                    node.child_by_field_name("name").into_iter().collect()
                }
                "as_pattern_target" => vec![node],
                "import_statement" | "import_from_statement" | "delete_statement" => {
                    node.named_children(&mut cursor).collect()
                }
                _ => Vec::new(),
            };
            for target in targets {
                self.may_be_set(statement, target, &mut changed);
            }
        }
        for (name, line) in changed {
            self.lost(&name, &changed_in(line));
        }
    }

    /// The object of a call that changes it.
    fn changed_by<'t>(&self, call: Node<'t>) -> Option<Node<'t>> {
        let function = call.child_by_field_name("function")?;
        let method = function.child_by_field_name("attribute")?;
        let changes = CHANGING.contains(&self.reader().source(method));
        changes.then(|| function.child_by_field_name("object")).flatten()
    }

    /// Notes a target within a statement that is not followed.
    fn may_be_set(
        &mut self,
        statement: Node<'_>,
        target: Node<'_>,
        changed: &mut BTreeSet<(String, usize)>,
    ) {
        let root = below_subscripts(target);
        if let Some((class, name)) = self.setting_of(root) {
            let value = Err(Unknown(format!(
                "is set inside a{} `{}`, which is not followed",
                if statement.kind().starts_with(['i', 'a', 'e']) { "n" } else { "" },
                statement.kind().split('_').next().unwrap_or_default(),
            )));
            let (line, perhaps, shared_with) = (line(target), true, Vec::new());
            self.settings.push(Setting { line, class, name, value, perhaps, shared_with });
            return;
        }
        for node in all_below(root).filter(|node| node.kind() == "identifier") {
            changed.insert((self.reader().source(node).to_owned(), line(node)));
        }
    }

    /// Class and trait of `c.Class.name`.
    fn setting_of(&self, node: Node<'_>) -> Option<(String, String)> {
        let object = (node.kind() == "attribute").then(|| node.child_by_field_name("object"))??;
        let name = node.child_by_field_name("attribute")?;
        let class =
            (object.kind() == "attribute").then(|| object.child_by_field_name("attribute"))??;
        let root = object.child_by_field_name("object")?;
        (self.reader().source(root) == CONFIGURATION).then(|| {
            (self.reader().source(class).to_owned(), self.reader().source(name).to_owned())
        })
    }
}

/// What the outermost of nested subscripts is about.
fn below_subscripts(node: Node<'_>) -> Node<'_> {
    let mut node = node;
    while let Some(of) =
        (node.kind() == "subscript").then(|| node.child_by_field_name("value")).flatten()
    {
        node = of;
    }
    node
}

fn changed_in(line: usize) -> Unknown {
    Unknown(format!("is changed by the program in line {line}"))
}

fn no_dictionary() -> Unknown {
    Unknown("is no dictionary".to_owned())
}
