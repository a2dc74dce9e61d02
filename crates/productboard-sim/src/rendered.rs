//! Rows that were rendered before. Facts do not change while they are served, so a row asked for in the same way is the
//! same bytes; a page of them is copied, not made.
//!
//! Memory is bounded: a list keeps the last few ways of asking, each up to a number of bytes. Rows beyond are made each
//! time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::access::Pii;
use crate::gate::Call;
use crate::routes::Selection;

const MOST_SHAPES: usize = 4;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// All that a row of entities or notes depends on, besides the facts. Whatever else changes a row belongs here.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    origin: String,
    pii: Pii,
    customers: &'static str,
    selection: Selection,
    relationships_as_array: bool,
    nested_timestamps: bool,
    note_bytes: usize,
    foreign_next_host: Option<String>,
}

/// The rendered rows of one list.
#[derive(Default)]
pub(crate) struct Rendered {
    shapes: Mutex<Vec<Arc<Rows>>>,
}

/// The rows of one list in one shape, at their places in the list.
pub(crate) struct Rows {
    shape: Shape,
    rows: Vec<OnceLock<Box<[u8]>>>,
    bytes: AtomicUsize,
}

impl Rendered {
    /// The rows as this call sees them, in a list of `total`.
    pub(crate) fn of(&self, call: &Call, selection: &Selection, total: usize) -> Arc<Rows> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shapes.iter().find(|rows| rows.shape.is_of(call, selection)) {
            return Arc::clone(known);
        }
        if shapes.len() == MOST_SHAPES {
            shapes.remove(0);
        }
        let rows = std::iter::repeat_with(OnceLock::new).take(total).collect();
        let rows = Arc::new(Rows { shape: Shape::of(call, selection), rows, bytes: AtomicUsize::new(0) });
        shapes.push(Arc::clone(&rows));
        rows
    }
}

impl Rows {
    /// Appends the row at a place, which `render` appends when it is not known.
    pub(crate) fn write(&self, out: &mut Vec<u8>, at: usize, render: impl FnOnce(&mut Vec<u8>)) {
        if let Some(row) = self.rows[at].get() {
            out.extend_from_slice(row);
            return;
        }
        let start = out.len();
        render(out);
        let row = &out[start..];
        if self.bytes.fetch_add(row.len(), Ordering::Relaxed) + row.len() <= MOST_BYTES {
            // Two requests may have made the same row.
            let _ = self.rows[at].set(row.into());
        } else {
            self.bytes.fetch_sub(row.len(), Ordering::Relaxed);
        }
    }
}

impl Shape {
    fn of(call: &Call, selection: &Selection) -> Self {
        let faults = &call.faults;
        Self {
            origin: call.origin.clone(),
            pii: call.pii,
            customers: customers(call),
            selection: selection.clone(),
            relationships_as_array: faults.relationships_as_array,
            nested_timestamps: faults.nested_timestamps,
            note_bytes: faults.note_bytes,
            foreign_next_host: faults.foreign_next_host.clone(),
        }
    }

    fn is_of(&self, call: &Call, selection: &Selection) -> bool {
        let faults = &call.faults;
        self.origin == call.origin
            && self.pii == call.pii
            && self.customers == customers(call)
            && self.selection == *selection
            && self.relationships_as_array == faults.relationships_as_array
            && self.nested_timestamps == faults.nested_timestamps
            && self.note_bytes == faults.note_bytes
            && self.foreign_next_host == faults.foreign_next_host
    }
}

/// The word that stands in for customers, if one does.
fn customers(call: &Call) -> &'static str {
    if call.access.allows("users:pii:read") { "" } else { Pii::word(&call.faults) }
}
