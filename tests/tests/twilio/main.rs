//! Stories of Twilio Media Streams: every case of a socket and its media, seen from outside.
//!
//! - T1 one track: `tracks::one_track_is_one_leg_and_each_of_its_samples_is_heard`
//! - T2 both tracks: `tracks::two_tracks_are_two_legs_without_a_sound_of_each_other`,
//!   `tracks::a_swapped_track_map_swaps_who_speaks_and_nothing_else`
//! - T3 loss, jitter, order: `loss::*`
//! - T4 first timestamps: `clock::a_track_that_begins_late_has_silence_before_it`
//! - T5 wobbling timestamps: `clock::timestamps_that_wobble_make_neither_gaps_nor_drift`
//! - T6 a long jump: `clock::a_jump_of_a_minute_is_no_minute_of_silence`
//! - T7 order, doubles, late: `clock::frames_that_were_overtaken_are_put_back_in_order`,
//!   `clock::a_frame_that_comes_twice_is_heard_once`,
//!   `clock::a_frame_that_comes_too_late_is_dropped_and_counted`
//! - T8 payloads: `messages::a_payload_may_have_any_length`,
//!   `messages::an_empty_or_broken_payload_is_counted_and_skipped`,
//!   `messages::a_message_of_a_megabyte_ends_its_call_and_no_other`
//! - T9 spelling, other events:
//!   `messages::numbers_unknown_fields_and_unknown_events_are_taken_as_they_come`,
//!   `messages::a_pressed_key_is_never_told_to_anybody`
//! - T10 order of messages: `order::*`
//! - T11 signatures: `signature::*`
//! - T12 tokens: `token::*`
//! - T13 endings: `endings::*`
//! - T14 second sockets: `successor::*`
//! - T15 commands and media: `commands::*`
//! - T16 a stalled service: `stall::*`
//! - T17 many calls: `many::*`
//! - T18 drain: `drain::*`
//! - bad messages: `abuse::*`
//! - broken WebSocket frames: `frames::*`
//! - slow, many, oversized requests: `crowd::*`
//!
//! What a receiver must get right beside the cases:
//!
//! - 1 numbers, unknown things: as T9
//! - 2 nothing before `start`: `order::what_sounds_before_start_is_ignored`,
//!   `order::a_socket_without_a_start_is_closed`
//! - 3 signatures: as T11
//! - 4 tokens: as T12
//! - 5 one clock, any origin: as T4
//! - 6 a track that is late, pauses or never comes:
//!   `tracks::a_track_that_never_sounds_does_not_hold_up_the_other`,
//!   `tracks::a_track_that_start_did_not_list_is_a_leg_all_the_same`
//! - 7 payloads: as T8
//! - 8 gaps, doubles, order, wobble: as T3, T5 to T7
//! - 9 what a gap is blamed on: `clock::a_gap_is_blamed_on_what_caused_it`
//! - 10 the socket is always read: as T16,
//!   `successor::an_older_socket_is_read_on_and_never_closed`
//! - 11 bursts: `stall::a_burst_is_sent_on_no_faster_than_the_service_allows`
//! - 12 all ways to end: as T13
//! - 13 several sockets of a call: as T14, `tracks::two_sockets_with_one_track_each_are_one_call`
//! - 14 commands at any moment: as T15
//! - 15 nothing is sent back: `messages::a_listener_never_says_a_word`
//! - 16 keys are private: as T9
//! - 17 both codes of silence: `messages::every_code_is_heard_as_its_sample`

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod abuse;
mod clock;
mod commands;
mod crowd;
mod drain;
mod endings;
mod frames;
mod loss;
mod many;
mod messages;
mod order;
mod signature;
mod stall;
mod successor;
mod support;
mod token;
mod tracks;
