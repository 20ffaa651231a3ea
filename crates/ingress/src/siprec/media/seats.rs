//! Places of lines, each found at once by what the kernel says of its socket.

/// A place and whom it was given to. The place is given again, the key never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    guest: u32,
    seat: u32,
}

/// One of a line's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Rtcp,
    Rtp,
}

/// Who sits where.
#[derive(Debug)]
pub(super) struct Seats<T> {
    seats: Vec<Option<(u32, Box<T>)>>,
    free: Vec<u32>,
    guests: u32,
}

impl Key {
    /// As the kernel is told of a socket. Ports are 65,536, so seats are fewer than 2^31.
    pub(super) fn token(self, port: Port) -> u64 {
        u64::from(self.guest) << 32 | u64::from(self.seat) << 1 | u64::from(port == Port::Rtp)
    }

    /// As the kernel tells of it.
    pub(super) fn of(token: u64) -> (Self, Port) {
        let key = Self {
            guest: (token >> 32) as u32,
            seat: token as u32 >> 1,
        };
        let port = if token & 1 == 1 {
            Port::Rtp
        } else {
            Port::Rtcp
        };
        (key, port)
    }
}

impl<T> Seats<T> {
    pub(super) fn new() -> Self {
        Self {
            seats: Vec::new(),
            free: Vec::new(),
            guests: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.seats.len()
    }

    /// Seats a guest, who is told its key.
    pub(super) fn seat(&mut self, guest: impl FnOnce(Key) -> T) -> Key {
        self.guests = self.guests.wrapping_add(1);
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() as u32 - 1
        });
        let key = Key {
            guest: self.guests,
            seat,
        };
        self.seats[seat as usize] = Some((self.guests, Box::new(guest(key))));
        key
    }

    /// Who has this key, if it is still there.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut T> {
        match self.seats.get_mut(key.seat as usize)? {
            Some((guest, found)) if *guest == key.guest => Some(found),
            _ => None,
        }
    }

    /// Its place is free.
    pub(super) fn leave(&mut self, key: Key) -> Option<Box<T>> {
        self.find(key)?;
        self.free.push(key.seat);
        let (_, left) = self.seats[key.seat as usize].take()?;
        Some(left)
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let seats = (0..).zip(&self.seats);
        let taken = seats.filter_map(|(seat, it)| it.as_ref().map(|(guest, _)| (seat, *guest)));
        taken.map(|(seat, guest)| Key { guest, seat }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_again_and_its_key_is_not() {
        let mut seats = Seats::new();
        let one = seats.seat(|_| 'a');
        let other = seats.seat(|_| 'b');
        assert_eq!(seats.leave(one).as_deref(), Some(&'a'));
        assert_eq!(seats.find(one), None);
        assert_eq!(seats.leave(one), None);
        let next = seats.seat(|_| 'c');
        assert_eq!((next.seat, next == one), (one.seat, false));
        assert_eq!(seats.find(one), None);
        assert_eq!(seats.find(next), Some(&mut 'c'));
        assert_eq!(seats.keys(), [next, other]);
        seats.leave(next);
        assert!(!seats.is_empty());
        seats.leave(other);
        assert!(seats.is_empty());
    }

    #[test]
    fn the_kernel_is_told_all_of_a_key_and_which_socket() {
        for (guest, seat) in [(0, 0), (1, 2), (u32::MAX, u32::MAX >> 1)] {
            for port in [Port::Rtcp, Port::Rtp] {
                let key = Key { guest, seat };
                assert_eq!(Key::of(key.token(port)), (key, port));
            }
        }
    }
}
