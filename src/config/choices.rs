// SPDX-License-Identifier: Apache-2.0
//! Lists of words of a table.

use super::{
    file::Value,
    keys::{Key, Kind},
    section::{Section, choose, read},
};

impl Section<'_> {
    /// The words of a list, each once; all there are where the key is absent. An empty list is
    /// reported: nothing would be left to ask for.
    pub fn choices(&self, key: &Key) -> Vec<&'static str> {
        let Kind::Choices(words) = key.kind else { return Vec::new() };
        let Some(place) = self.find(key) else { return words.to_vec() };
        if matches!(&place.node.value, Value::List(items) if items.is_empty()) {
            let remedy = format!("name some of: {}", words.join(", "));
            self.error(key, "an empty list", Some(&remedy));
        }
        let mut chosen = Vec::new();
        for item in self.items(key) {
            match read(self.report(), &item, |scalar| choose(scalar, words)) {
                Some(word) if chosen.contains(&word) => {
                    let remedy = Some("remove one of them");
                    self.report().warning(item.node.position, &item.path, "repeated", remedy);
                }
                word => chosen.extend(word),
            }
        }
        chosen
    }
}
