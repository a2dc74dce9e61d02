//! The queues of the system, by name and by what flows into them.
//!
//! Names here are without the cluster's prefix: the adapter puts it in front (`tidemark.` by default).

/// What flows into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The commands of that name, from the direct exchange `commands`.
    Command(&'static str),
    /// The events whose types match one of these patterns (`*` one word, `#` any), from the topic exchange `events`.
    Events(&'static [&'static str]),
}

/// A durable queue with a delivery limit; what exceeds it goes to the dead-letter queue `<name>.dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// `<service>.<purpose>`
    pub name: &'static str,
    /// What flows into it.
    pub binding: Binding,
}

/// How often a message is delivered before it is dead-lettered.
pub const DELIVERY_LIMIT: u32 = 20;

/// Commands to go on with a run.
pub const SYNC_RUN: Queue = Queue { name: "sync.run", binding: Binding::Command("sync.run") };

/// What happens to connections, for the sync service: start, resume, end.
pub const SYNC_CONNECTIONS: Queue = Queue {
    name: "sync.connections",
    binding: Binding::Events(&[
        "connection.connected",
        "connection.reconnected",
        "connection.reconnect_required",
        "connection.disconnected",
    ]),
};

/// Finished syncs, for the aggregator.
pub const UTILIZATION_SYNCS: Queue =
    Queue { name: "utilization.syncs", binding: Binding::Events(&["sync.completed"]) };

/// All queues. Every process declares all of them, so that no message is lost to the order of starts.
pub const TOPOLOGY: [Queue; 3] = [SYNC_RUN, SYNC_CONNECTIONS, UTILIZATION_SYNCS];
