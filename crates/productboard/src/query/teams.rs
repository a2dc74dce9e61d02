//! Which teams to ask for.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Pair, filled, put, put_all, some};

/// Which teams to list; all of them by default. All texts have 1 to 255 characters, and their case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamsQuery {
    /// The whole name.
    pub name: Option<String>,
    /// The whole handle.
    pub handle: Option<String>,
    /// Part of the name or the handle.
    pub query: Option<String>,
}

impl TeamsQuery {
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        some("name", self.name.as_ref())
            .chain(some("handle", self.handle.as_ref()))
            .chain(some("query", self.query.as_ref()))
    }
}

/// Which teams to search for: all filters must hold, any value of a filter will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamSearch {
    /// At most 100 ids.
    pub ids: Vec<Uuid>,
    /// At most 100 whole names.
    pub names: Vec<String>,
    /// At most 100 whole handles.
    pub handles: Vec<String>,
    /// Part of the name or the handle.
    pub query: Option<String>,
}

impl TeamSearch {
    pub(crate) fn body(&self) -> Value {
        let (mut fields, mut filter, mut data) = (Map::new(), Map::new(), Map::new());
        put_all(&mut fields, "name", &self.names);
        put_all(&mut fields, "handle", &self.handles);
        put_all(&mut filter, "id", &self.ids);
        put(&mut filter, "fields", filled(fields));
        put(&mut data, "filter", filled(filter));
        put(&mut data, "search", self.query.as_ref().map(|query| json!({ "query": query })));
        json!({ "data": data })
    }
}
