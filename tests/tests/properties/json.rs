//! Random JSON: trees of anything, and documented answers with something wrong about them.

use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};

/// Stands for an access token, as long as those of Meta are: no error may show it.
pub(crate) const TOKEN: &str =
    "IGAAsecretOfTheTestIGAAsecretOfTheTestIGAAsecretOfTheTestIGAAsecretOfTheTestIGAAsecretOfTheTest";

/// Texts that mean something to a parser, a database or a browser.
const ODD: [&str; 24] = [
    "",
    " ",
    "\0",
    "a\0b",
    "~",
    "%",
    "'",
    "\\u0000",
    "\u{202e}",
    "\u{feff}\u{10ffff}",
    "javascript:alert(1)",
    " https://cdn.example/a.jpg",
    "https://cdn.example/a.jpg",
    "http://",
    "data:text/html,x",
    "2026-11-23T10:00:00+0000",
    "+262142-12-31T23:59:59+0000",
    "-262143-01-01T00:00:00Z",
    "9999-12-31T23:59:59-0100",
    "0001-01-01T00:00:00+2359",
    "9223372036854775808",
    "-1",
    "1e400",
    TOKEN,
];

/// Any text, odd ones more often.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let any_text = prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter);
    prop_oneof![prop::sample::select(&ODD[..]).prop_map(str::to_owned), any_text]
}

fn leaf() -> impl Strategy<Value = Value> {
    let whole = [0, 1, -1, 3, 4, 10, 17, 32, 100, 102, 190, 200, 368, 458, 460, 463, 80_002, i64::MAX, i64::MIN];
    prop_oneof![
        3 => text().prop_map(Value::from),
        2 => prop::sample::select(whole.to_vec()).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

/// Any JSON.
pub(crate) fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// Something that is wrong about a value in a tree.
#[derive(Debug, Clone)]
enum Change {
    Replaced(Value),
    Wrapped,
    Without(Index),
    With(String, Value),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => tree().prop_map(Self::Replaced),
            1 => Just(Self::Wrapped),
            2 => any::<Index>().prop_map(Self::Without),
            1 => (text(), tree()).prop_map(|(key, value)| Self::With(key, value)),
        ]
    }

    fn apply(self, place: &mut Value) {
        match (self, place) {
            (Self::Without(index), Value::Object(fields)) if !fields.is_empty() => {
                let key = index.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
                fields.remove(&key);
            }
            (Self::Without(index), Value::Array(values)) if !values.is_empty() => {
                values.remove(index.index(values.len()));
            }
            (Self::With(key, value), Value::Object(fields)) => drop(fields.insert(key, value)),
            (Self::Wrapped, place) => *place = json!([place.take()]),
            (Self::Replaced(value) | Self::With(_, value), place) => *place = value,
            (Self::Without(_), place) => *place = Value::Null,
        }
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(size).sum::<usize>(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// The value at a place, counted from the root through the branches.
fn at<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| at(value, place)),
        Value::Object(fields) => fields.values_mut().find_map(|value| at(value, place)),
        _ => None,
    }
}

/// A tree with some changes of this kind.
pub(crate) fn changed(tree: Value) -> impl Strategy<Value = Value> {
    prop::collection::vec((any::<Index>(), Change::any()), 0..3).prop_map(move |changes| {
        let mut tree = tree.clone();
        for (place, change) in changes {
            let mut place = place.index(size(&tree));
            if let Some(value) = at(&mut tree, &mut place) {
                change.apply(value);
            }
        }
        tree
    })
}

/// Something that is wrong about JSON's text.
#[derive(Debug, Clone)]
enum Tear {
    Nothing,
    Cut(Index),
    Byte(Index, u8),
    Field(Index, String),
}

/// The bytes of JSON: as they are, cut off, with a wrong byte, or with a field that a reader of trees would refuse.
pub(crate) fn written(json: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    let deep = |depth| format!(r#""odd":{}{},"#, "[".repeat(depth), "]".repeat(depth));
    let fields = [r#""odd":1e999,"#, r#""odd":"\ud800","#, r#""id":"2","#, r#""code":190,"#, r#""data":[],"#];
    let fields: Vec<_> = fields.map(str::to_owned).into_iter().chain([deep(100), deep(5_000)]).collect();
    let tear = prop_oneof![
        6 => Just(Tear::Nothing),
        1 => any::<Index>().prop_map(Tear::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Tear::Byte(place, byte)),
        3 => (any::<Index>(), prop::sample::select(fields)).prop_map(|(place, field)| Tear::Field(place, field)),
    ];
    (json, tear).prop_map(|(json, tear)| {
        let mut text = json.to_string().into_bytes();
        match tear {
            Tear::Nothing => {}
            Tear::Cut(place) => text.truncate(place.index(text.len())),
            Tear::Byte(place, byte) => {
                let place = place.index(text.len());
                text[place] = byte;
            }
            Tear::Field(place, field) => {
                let objects: Vec<_> = (0..text.len()).filter(|at| text[*at] == b'{').collect();
                if !objects.is_empty() {
                    let after = place.get(&objects) + 1;
                    text.splice(after..after, field.into_bytes());
                }
            }
        }
        text
    })
}
