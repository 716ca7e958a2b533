//! Searches `/proc/self/mem` for values of rotations before the current one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use crate::canary;

/// What a copy of a value is in, by what follows it: what is in front is overwritten first when a
/// block is freed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// The body of an answer.
    Answer,
    /// A whole secret, as the SDK returns it.
    Payload,
    /// A value by itself.
    Value,
}

/// As much as it takes to choose a `Found`: the prefix, the number, the field's name and what follows.
const LENGTH: usize = 40;

fn kind(value: &[u8]) -> Found {
    let is_in = |end: &[u8]| value.windows(end.len()).any(|window| window == end);
    match () {
        () if is_in(br#"-token""#) || is_in(br#"-password\""#) => Found::Answer,
        () if is_in(br#"-password""#) => Found::Payload,
        () => Found::Value,
    }
}

/// Where copies of values of rotations before this one are, in what this process can write: its
/// heap, its stacks, and what it has mapped.
pub(crate) fn search(current: usize) -> BTreeMap<Found, Vec<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut memory = File::open("/proc/self/mem").expect("Linux");
    let mut found = BTreeMap::<_, Vec<_>>::new();
    // Where it is itself is not searched. It is overwritten at the end.
    let mut buffer = vec![0_u8; 1 << 20];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, last) = (address(start), address(end));
        while at < last {
            if own.contains(&at) {
                at = own.end;
                continue;
            }
            let next = if at < own.start { last.min(own.start) } else { last };
            let length = usize::try_from(next - at).expect("fits").min(buffer.len());
            memory.seek(SeekFrom::Start(at)).expect("an address");
            // What the kernel keeps in a process cannot be read.
            let Ok(read) = memory.read(&mut buffer[..length]) else { break };
            // A read that is cut short ends what can be read there.
            let is_last = read <= LENGTH || at + read as u64 == next;
            // Two reads share as much as a value takes, so that one over the border is found, by the
            // second only.
            let counted = if is_last { read } else { read - LENGTH };
            for (place, number) in canary::values(&buffer[..read]) {
                if number < current && place < counted {
                    let value = &buffer[place..read.min(place + LENGTH)];
                    found.entry(kind(value)).or_default().push(at as usize + place);
                }
            }
            at = if is_last { next } else { at + counted as u64 };
        }
    }
    buffer.fill(0);
    std::hint::black_box(&buffer);
    found
}
