//! The rows: where the call stands, what happens, and what comes of the last thing that happens.

/// How to come to a state, and its name.
pub(crate) type World = (&'static str, &'static str);

const NOTHING: World = ("", "nothing");
const AWAITED: World = ("start a", "awaited");
const IDLE: World = ("leg 1; leg 2", "idle");
const STARTING: World = ("leg 1; leg 2; start a", "starting");
const STREAMING: World = ("leg 1; leg 2; start a; ready a1; ready a2", "streaming");
const PAUSING: World = (
    "leg 1; leg 2; start a; ready a1; ready a2; pause p",
    "paused",
);
const PAUSED: World = (
    "leg 1; leg 2; start a; ready a1; ready a2; pause p; shut 1 p; shut 2 p",
    "paused",
);
const STOPPING: World = (
    "leg 1; leg 2; start a; ready a1; ready a2; stop s",
    "stopping",
);
const DRAINING: World = (
    "leg 1; leg 2; start a; ready a1; ready a2; end 1; end 2",
    "draining",
);

/// Worlds with one leg only, for what happens when the last one goes.
const STARTING_1: World = ("leg 1; start a", "starting");
const STREAMING_1: World = ("leg 1; start a; ready a1", "streaming");
const PAUSING_1: World = ("leg 1; start a; ready a1; pause p", "paused");
const PAUSED_1: World = ("leg 1; start a; ready a1; pause p; shut 1 p", "paused");
const STOPPING_1: World = ("leg 1; start a; ready a1; stop s", "stopping");
const STOPPED_1: World = (
    "leg 1; start a; ready a1; stop s; shut 1 s; wait 5s",
    "idle",
);

pub(crate) type Row = (World, &'static str, &'static str);

pub(crate) const COMMANDS: &[Row] = &[
    (NOTHING, "start b", "→ awaited"),
    (NOTHING, "stop b", "b: 400-203"),
    (NOTHING, "pause b", "b: 400-203"),
    (NOTHING, "resume b", "b: 400-203"),
    //
    (AWAITED, "start b", "b: 409-202"),
    (
        AWAITED,
        "stop b",
        "a: 409-202, b: ok, gone: client start_stopped",
    ),
    (AWAITED, "pause b", "b: 409-202"),
    (AWAITED, "resume b", "b: 409-202"),
    //
    (IDLE, "start b", "open 1 b1, open 2 b2, → starting"),
    (IDLE, "stop b", "b: 409-201"),
    (IDLE, "pause b", "b: 409-201"),
    (IDLE, "resume b", "b: 409-201"),
    (STOPPED_1, "start b", "open 1 b1, → starting"),
    (STOPPED_1, "stop b", "b: 409-201"),
    //
    (STARTING, "start b", "b: 409-202"),
    (
        STARTING,
        "stop b",
        "a: 409-202, shut 1 b finish, shut 2 b finish, abandon a1, abandon a2, → stopping",
    ),
    (
        STARTING,
        "ready a1; stop b; shut 1 b; shut 2 b; finish a1",
        "b: not ok a1=1000+ a2=5000, → idle",
    ),
    (STARTING, "pause b", "b: 409-202"),
    (STARTING, "resume b", "b: 409-202"),
    //
    (STREAMING, "start b", "b: 409-201"),
    (
        STREAMING,
        "stop b",
        "shut 1 b finish, shut 2 b finish, → stopping",
    ),
    (
        STREAMING,
        "pause b",
        "shut 1 b hold, shut 2 b hold, → paused",
    ),
    (STREAMING, "resume b", "b: 409-201"),
    //
    (PAUSING, "start b", "b: 409-201"),
    (
        PAUSING,
        "stop b",
        "p: 409-202, shut 1 b finish, shut 2 b finish, → stopping",
    ),
    (PAUSING, "pause b", "b: 409-202"),
    (PAUSING, "resume b", "b: 409-202"),
    (PAUSED, "start b", "b: 409-201"),
    (
        PAUSED,
        "stop b",
        "shut 1 b finish, shut 2 b finish, → stopping",
    ),
    (PAUSED, "pause b", "b: 409-201"),
    (
        PAUSED,
        "resume b",
        "open 1 a1, open 2 a2, b: ok, → streaming",
    ),
    //
    (STOPPING, "start b", "b: 409-202"),
    (STOPPING, "stop b", "b: 409-202"),
    (STOPPING, "pause b", "b: 409-202"),
    (STOPPING, "resume b", "b: 409-202"),
    //
    (DRAINING, "start b", "b: 409-203"),
    (DRAINING, "stop b", "b: 409-203"),
    (DRAINING, "pause b", "b: 409-203"),
    (DRAINING, "resume b", "b: 409-203"),
];

pub(crate) const EVENTS: &[Row] = &[
    // Leg opened.
    (NOTHING, "leg 1", "→ idle"),
    (AWAITED, "leg 1", "open 1 a1, → starting"),
    (IDLE, "leg 3", "end 1"),
    (STARTING_1, "leg 2", "open 2 a2"),
    (STARTING, "leg 3", "shut 1 * finish, end 1"),
    (STREAMING_1, "leg 2", "open 2 a2"),
    (STREAMING, "leg 3", "shut 1 * finish, end 1"),
    (PAUSED_1, "leg 2", ""),
    (
        PAUSED_1,
        "leg 2; resume b",
        "open 1 a1, open 2 a2, b: ok, → streaming",
    ),
    (PAUSED, "leg 3", "end 1"),
    (PAUSING, "leg 3", "end 1"),
    (STOPPING_1, "leg 2", ""),
    (STOPPING, "leg 3", "end 1"),
    (DRAINING, "leg 3", "→ idle"),
    // A leg ended, others live.
    (IDLE, "end 1", ""),
    (
        STARTING,
        "ready a2; end 1",
        "a: not ok a1=5000 a2=1000, → streaming",
    ),
    (STREAMING, "end 1", ""),
    (PAUSED, "end 1", ""),
    (PAUSING, "shut 2 p; end 1", "p: ok"),
    (
        STOPPING,
        "finish a1; finish a2; shut 2 s; end 1",
        "s: ok a1=1000+ a2=1000+, → idle",
    ),
    // The last leg ended.
    (NOTHING, "leg 1; end 1", "gone: nobody hung_up"),
    (STOPPED_1, "end 1", "→ draining"),
    (STARTING_1, "end 1", "a: 409-203, → draining"),
    (STREAMING_1, "end 1", "→ draining"),
    (PAUSING_1, "end 1", "p: ok, → draining"),
    (PAUSED_1, "end 1", "→ draining"),
    (STOPPING_1, "end 1", ""),
    (
        STOPPING_1,
        "end 1; finish a1",
        "s: ok a1=1000+, gone: nobody hung_up",
    ),
    // Stream ready.
    (IDLE, "ready a1", ""),
    (STARTING, "ready a1", ""),
    (
        STARTING,
        "ready a1; ready a2",
        "a: ok a1=1000 a2=1000, → streaming",
    ),
    (STREAMING, "ready a1", ""),
    (PAUSED, "ready a1", ""),
    (STOPPING, "ready a1", ""),
    (DRAINING, "ready a1", ""),
    // Stream failed for good.
    (STOPPED_1, "fail a1; end 1", "gone: upstream stream_failed"),
    (STARTING, "fail a1", "shut 1 * finish"),
    (
        STARTING,
        "ready a2; fail a1; shut 1 *",
        "a: not ok a1=5002 a2=1000, → streaming",
    ),
    (STARTING_1, "fail a1; shut 1 *", "a: not ok a1=5002, → idle"),
    (STREAMING, "fail a1", "shut 1 * finish"),
    (STREAMING_1, "fail a1; shut 1 *", "→ idle"),
    (PAUSED_1, "fail a1", "shut 1 * finish"),
    (PAUSED_1, "fail a1; shut 1 *", "→ idle"),
    (PAUSING_1, "fail a1; shut 1 p", ""),
    (PAUSING_1, "fail a1; shut 1 p; shut 1 *", "p: ok, → idle"),
    (STOPPING_1, "fail a1; shut 1 s", "s: not ok a1=5002, → idle"),
    (
        DRAINING,
        "fail a1; finish a2",
        "gone: upstream stream_failed",
    ),
    // Stream finished.
    (STOPPED_1, "finish a1; end 1", "gone: nobody hung_up"),
    (STARTING, "finish a1", ""),
    (STREAMING, "finish a1", ""),
    (PAUSED, "finish a1", ""),
    (STOPPING, "shut 1 s; shut 2 s; finish a1", ""),
    (
        STOPPING,
        "shut 1 s; shut 2 s; finish a1; finish a2",
        "s: ok a1=1000+ a2=1000+, → idle",
    ),
    (DRAINING, "finish a1", ""),
    (DRAINING, "finish a1; finish a2", "gone: nobody hung_up"),
    // A gate is shut, with this ticket or another.
    (IDLE, "shut 1 z", ""),
    (STARTING_1, "fail a1; shut 1 z", ""),
    (STREAMING_1, "fail a1; shut 1 z", ""),
    (PAUSING, "shut 1 p", ""),
    (PAUSING, "shut 1 p; shut 2 z", ""),
    (PAUSING, "shut 1 p; shut 2 p", "p: ok"),
    (STOPPING, "finish a1; finish a2; shut 1 s; shut 2 z", ""),
    (
        STOPPING,
        "finish a1; finish a2; shut 1 s; shut 2 s",
        "s: ok a1=1000+ a2=1000+, → idle",
    ),
    (DRAINING, "shut 1 z", ""),
    // The platform learns who speaks; the next stream goes by it.
    (IDLE, "learn 1 agent", ""),
    (
        IDLE,
        "learn 1 agent; start b",
        "open 1 b2, open 2 b1, → starting",
    ),
    (STARTING, "learn 1 agent", ""),
    (STREAMING, "learn 1 agent", ""),
    (PAUSED, "learn 1 agent", ""),
    (
        PAUSED,
        "learn 1 agent; resume b",
        "open 1 a1, open 2 a2, b: ok, → streaming",
    ),
    (STOPPING, "learn 1 agent", ""),
    (DRAINING, "learn 1 agent", ""),
    // A name is another call's: a start that waits under it goes there.
    (NOTHING, "rename CA1 CA2", ""),
    (AWAITED, "rename CA1 CA2", "gone: nobody renamed, → awaited"),
    (
        AWAITED,
        "leg 3 at CA2; rename CA1 CA2",
        "gone: nobody renamed, open 3 a1, → starting",
    ),
    (IDLE, "rename CA1 CA2", ""),
    (STARTING, "rename CA1 CA2", ""),
    (STREAMING, "rename CA1 CA2", ""),
    (PAUSED, "rename CA1 CA2", ""),
    (STOPPING, "rename CA1 CA2", ""),
    (DRAINING, "rename CA1 CA2", ""),
    // A deadline.
    (AWAITED, "wait 1s", ""),
    (AWAITED, "wait 2s", "a: 400-203, gone: client no_media"),
    (IDLE, "wait 99s", ""),
    (STARTING, "ready a1; wait 5s", "shut 2 * finish, abandon a2"),
    (
        STARTING,
        "ready a1; wait 5s; shut 2 *",
        "a: not ok a1=1000 a2=5000, → streaming",
    ),
    (STARTING_1, "wait 5s; shut 1 *", "a: not ok a1=5000, → idle"),
    (STREAMING, "wait 99s", ""),
    (STREAMING, "fail a1; wait 1s", "end 1"),
    (PAUSED, "wait 99s", ""),
    (PAUSING, "shut 1 p; wait 1s", "end 2"),
    (PAUSING, "shut 1 p; wait 1s; end 2", "p: not ok"),
    (STOPPING, "shut 1 s; wait 1s", "end 2"),
    (STOPPING, "shut 1 s; shut 2 s; finish a1; wait 4s", ""),
    (
        STOPPING,
        "shut 1 s; shut 2 s; finish a1; wait 5s",
        "s: not ok a1=1000+ a2=5000, → idle",
    ),
    (STOPPING, "shut 1 s; wait 5s; finish a1", ""),
    (
        STOPPING,
        "shut 1 s; wait 5s; shut 2 s",
        "s: not ok a1=5000 a2=5000, → idle",
    ),
    (DRAINING, "wait 9s", ""),
    (DRAINING, "wait 10s", "gone: nobody hung_up"),
];

/// What the tables do not show, and the decisions beside them.
pub(crate) const NOTES: &[Row] = &[
    // A second start may not wait when `awaited_max` of them do; here one.
    (AWAITED, "start b CA2", "b: 400-203"),
    (AWAITED, "wait 2s; start b CA2", "→ awaited"),
    (AWAITED, "leg 1; start b CA2", "→ awaited"),
    (AWAITED, "stop z; start b CA2", "→ awaited"),
    // Newer media on every side that took part: idle, and a new start hears only the new legs.
    (STREAMING_1, "leg 3; shut 1 *", "→ idle"),
    (
        STREAMING_1,
        "leg 3; shut 1 *; start b",
        "open 3 b1, → starting",
    ),
    (PAUSED_1, "leg 3", "end 1, → idle"),
    (PAUSING_1, "leg 3", "end 1"),
    (PAUSING_1, "leg 3; end 1", "p: ok, → idle"),
    (
        STARTING_1,
        "leg 3; ready a1; end 1",
        "a: not ok a1=5000, → idle",
    ),
    (STREAMING, "leg 3; end 1; end 2", "→ idle"),
    (
        STREAMING,
        "leg 3; leg 4; shut 1 *; shut 2 *; stop b",
        "b: 409-201",
    ),
    // A replaced leg whose gate has not confirmed holds up the answer to a stop.
    (
        STREAMING,
        "leg 3; stop b; shut 2 b; finish a1; finish a2",
        "",
    ),
    (
        STREAMING,
        "leg 3; stop b; shut 2 b; finish a1; finish a2; end 1",
        "b: ok a1=1000+ a2=1000+, → idle",
    ),
    // The stop's answer has the summary of a leg that ended earlier since the start.
    (
        STREAMING,
        "end 1; finish a1; stop b; shut 2 b; finish a2",
        "b: ok a1=1000+ a2=1000+, → idle",
    ),
    // A leg on a side that had media since the start waits for the next start.
    (STREAMING, "end 1; leg 3", ""),
    (STREAMING, "end 1; leg 3; end 2", "→ idle"),
    // A leg that ended has confirmed.
    (
        STARTING,
        "ready a2; wait 5s; end 1",
        "a: not ok a1=5000 a2=1000, → streaming",
    ),
    // A leg that comes after `start_timeout` is not waited for; it needs a new start.
    (STARTING_1, "wait 5s; leg 2", ""),
    (
        STARTING_1,
        "wait 5s; leg 2; shut 1 *",
        "a: not ok a1=5000, → idle",
    ),
    // What was decided stands: a stream that was given up for its slowness may say what it likes.
    (
        STARTING,
        "ready a1; wait 5s; ready a2; shut 2 *",
        "a: not ok a1=1000 a2=5000, → streaming",
    ),
    (
        STARTING,
        "stop b; fail a1; shut 1 b; shut 2 b",
        "b: not ok a1=5000 a2=5000, → idle",
    ),
    (
        STARTING_1,
        "stop b; fail a1; shut 1 b; end 1",
        "gone: nobody hung_up",
    ),
    // A late stream holds up no new start, and is forgotten in its time.
    (STOPPED_1, "start b; ready b1; finish a1", ""),
    (STOPPED_1, "start b; ready b1; end 1; finish b1", ""),
    (
        STOPPED_1,
        "start b; ready b1; end 1; finish b1; finish a1",
        "gone: nobody hung_up",
    ),
    // New media while draining: the older streams drain on beside it.
    (
        DRAINING,
        "leg 3; start b; ready b1; finish a1; finish a2; end 3",
        "→ draining",
    ),
    // Both gates open before either stream is ready, and a stop undoes both.
    (
        AWAITED,
        "leg 1; leg 2; ready a1; ready a2",
        "a: ok a1=1000 a2=1000, → streaming",
    ),
    // A pause is confirmed by its own ticket after a resume, not by that of the pause before.
    (PAUSED_1, "resume b; pause c; shut 1 p", ""),
    (PAUSED_1, "resume b; pause c; shut 1 c", "c: ok"),
    // A deaf leg that confirms late is ended all the same and never opened again.
    (
        PAUSED_1,
        "resume b; pause c; wait 1s; shut 1 c",
        "c: not ok, → draining",
    ),
    // What the platform suggests decides, unless the start gives the order.
    (
        NOTHING,
        "leg 1 agent; leg 2 customer; start b",
        "open 1 b2, open 2 b1, → starting",
    ),
    (
        NOTHING,
        "leg 1 agent; leg 2 customer; start b ordered",
        "open 1 b1, open 2 b2, → starting",
    ),
    // What is known of one leg decides for the other, whichever came first.
    (
        NOTHING,
        "leg 1; leg 2 customer; start b",
        "open 2 b1, open 1 b2, → starting",
    ),
    (NOTHING, "leg 1 agent; start b; leg 2 agent", "open 2 b1"),
    // A line with both parties is the customer's stream, whatever the order; the other line, should
    // there be one, is the agent's.
    (
        NOTHING,
        "leg 1 mixed; start b ordered",
        "open 1 b1 mixed, → starting",
    ),
    (
        NOTHING,
        "leg 2 mixed; start b",
        "open 2 b1 mixed, → starting",
    ),
    (NOTHING, "leg 1 mixed; start b; leg 2 customer", "open 2 b2"),
    // A resume leads to the streams that were held, a new start goes by what is known by then.
    (
        NOTHING,
        "leg 1 agent; start b; ready b2; pause p; shut 1 p; learn 1 nobody; resume r",
        "open 1 b2, r: ok, → streaming",
    ),
    (
        NOTHING,
        "leg 1 agent; start b; ready b2; stop s; shut 1 s; finish b2; learn 1 nobody; start c",
        "open 1 c1, → starting",
    ),
    // A start that moves to a call meets the state of that call, under the call's own name.
    (
        AWAITED,
        "leg 3 at CA2; start b CA2; rename CA1 CA2",
        "gone: nobody renamed, a: 409-202",
    ),
    (
        AWAITED,
        "leg 3 at CA2; rename CA1 CA2; start b CA1",
        "→ awaited",
    ),
    (AWAITED, "rename CA1 CA1", ""),
    // What is unknown or said twice changes nothing.
    (IDLE, "leg 1", ""),
    (
        STREAMING_1,
        "end 9; shut 9 b; ready x1; fail x1; finish x1; stop b",
        "shut 1 b finish, → stopping",
    ),
];

pub(crate) const STATES: [World; 8] = [
    NOTHING, AWAITED, IDLE, STARTING, STREAMING, PAUSED, STOPPING, DRAINING,
];
