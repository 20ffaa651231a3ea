//! Twilio `<Siprec>`: from user `SRC`, through an edge that records its route. What it writes into
//! its metadata has not been seen; it is the RFC's here.

use super::plain::HEAD;
use super::{Head, Shape};

pub(super) const SHAPE: Shape = Shape {
    head: Head {
        users: ["srs", "SRC"],
        more: |scene| {
            vec![
                ("Record-Route", format!("<sip:{};lr>", scene.host)),
                ("User-Agent", "Twilio Gateway".to_owned()),
            ]
        },
        ..HEAD
    },
    guid: |scene| scene.dialog.clone(),
    ..super::plain::SHAPE
};
