//! A list of values of one kind: an array in a file, separated by commas elsewhere.

use toml::de::DeValue;

use super::{Kind, Raw, Wrong};

/// A list of `min` to `max` values of the kind `element`.
pub(in crate::config) fn list<K: Kind>(element: K, min: usize, max: usize) -> List<K> {
    List { element, min, max }
}

/// See [`list`].
pub(in crate::config) struct List<K> {
    element: K,
    min: usize,
    max: usize,
}

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn read(&self, raw: Raw<'_>) -> Result<Self::Value, Vec<Wrong>> {
        let mut values = Vec::new();
        let mut wrongs = Vec::new();
        let mut take = |raw: Raw<'_>, at: Option<usize>| match self.element.read(raw) {
            Ok(value) => values.push(value),
            Err(found) => wrongs.extend(found.into_iter().map(|wrong| Wrong {
                element: Some((at, self.element.expected())),
                ..wrong
            })),
        };
        match raw {
            Raw::Text(text) => {
                for part in text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                {
                    take(Raw::Text(part), None);
                }
            }
            Raw::Toml(DeValue::Array(array)) => {
                for element in array.iter() {
                    take(Raw::Toml(element.get_ref()), Some(element.span().start));
                }
            }
            other => {
                let text = format!("a list such as [\"..\"] is expected, not {other}");
                return Err(vec![Wrong::new(text)]);
            }
        }
        if !wrongs.is_empty() {
            return Err(wrongs);
        }
        if (self.min..=self.max).contains(&values.len()) {
            return Ok(values);
        }
        let text = format!("the list has {} entries", values.len());
        Err(vec![Wrong::new(text)])
    }

    fn allowed(&self) -> String {
        let element = self.element.allowed();
        format!("{} to {} entries, each {element}", self.min, self.max)
    }

    fn show(&self, value: &Self::Value) -> String {
        let shown: Vec<_> = value.iter().map(|one| self.element.show(one)).collect();
        format!("[{}]", shown.join(", "))
    }
}
