//! One activity row as JSON. It is written by hand: a history has a million of them, and their keys never change.

use std::collections::HashMap;
use std::io::Write as _;

use chrono::{Datelike, NaiveDate};

use crate::gate::Call;
use crate::json;
use crate::{Activity, COUNTER_NAMES, Workspace};

type Counters = [Option<u32>; 19];

/// Writes rows, with what the switches do to them.
pub(super) struct Rows<'a> {
    call: &'a Call,
    /// `,"name":` of each counter.
    keys: [String; 19],
    /// `","domain":"acme","memberId":"`
    middle: Vec<u8>,
    /// The last day written, as text.
    day: (NaiveDate, [u8; 10]),
    totals: HashMap<NaiveDate, Counters>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(call: &'a Call) -> Self {
        let mut middle = br#"","domain":"#.to_vec();
        json::write(&mut middle, &call.workspace.domain);
        middle.extend_from_slice(br#","memberId":""#);
        let keys = COUNTER_NAMES.map(|name| format!(",\"{name}\":"));
        Self { call, keys, middle, day: (NaiveDate::MIN, [0; 10]), totals: HashMap::new() }
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>, row: &Activity) {
        let faults = &self.call.faults;
        let counters = self.counters(row);
        out.extend_from_slice(br#"{"date":""#);
        out.extend_from_slice(self.day(row.date));
        out.extend_from_slice(&self.middle);
        out.extend_from_slice(json::text(row.member_id, &mut [0; 36]).as_bytes());
        out.extend_from_slice(br#"","role":"#);
        json::write(out, &if faults.editor_role && row.role == "maker" { "editor" } else { &row.role });
        out.extend_from_slice(br#","activeFlag":"#);
        out.extend_from_slice(if row.active_flag { b"true" } else { b"false" });
        for (key, count) in self.keys.iter().zip(counters) {
            if let Some(count) = count {
                out.extend_from_slice(key.as_bytes());
                digits(out, count);
            }
        }
        out.push(b'}');
    }

    fn day(&mut self, date: NaiveDate) -> &[u8; 10] {
        if self.day.0 != date {
            let mut text = [b' '; 10];
            // Years beyond 9999 do not fit and come out cut; nothing here lives then.
            let _ = write!(text.as_mut_slice(), "{date}");
            self.day = (date, text);
        }
        &self.day.1
    }

    fn counters(&mut self, row: &Activity) -> Counters {
        let faults = &self.call.faults;
        let mut counters = row.counters;
        if faults.repeated_totals {
            let workspace = &self.call.workspace;
            counters = *self.totals.entry(row.date).or_insert_with(|| day_totals(workspace, row.date));
        }
        if faults.totals_zero {
            (counters[0], counters[1]) = (Some(0), Some(0));
        }
        if faults.hide_zeros {
            counters = counters.map(|count| count.filter(|count| *count > 0));
        }
        if faults.absent_counters
            && (row.member_id.as_u128() ^ u128::from(row.date.ordinal())).is_multiple_of(3)
        {
            counters = [None; 19];
        }
        counters
    }
}

fn digits(out: &mut Vec<u8>, count: u32) {
    match u8::try_from(count) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => json::write(out, &count),
    }
}

fn day_totals(workspace: &Workspace, day: NaiveDate) -> Counters {
    let mut totals = [0; 19];
    for row in &workspace.activities[workspace.window(Some(day), Some(day))] {
        for (total, count) in totals.iter_mut().zip(row.counters) {
            *total += count.unwrap_or(0);
        }
    }
    totals.map(Some)
}
