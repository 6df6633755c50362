//! Looks into a message that was written for a client, and changes what the mesh knows better.

use super::{HEADER_LEN, TC};
use crate::dns::RecordType;

/// Behind a record's owner: type, class, TTL, RDATA length.
const FIXED_LEN: usize = 10;

/// Behind a question's name: type and class.
const QUESTION_FIXED_LEN: usize = 4;

/// Whether the answer section of `message`, which has one question, holds a CNAME record.
pub fn answers_with_alias(message: &[u8]) -> bool {
    let find = || {
        let &[high, low] = message.get(6..8)?.first_chunk()?;
        let mut at = behind_name(message, HEADER_LEN)? + QUESTION_FIXED_LEN;
        for _ in 0..u16::from_be_bytes([high, low]) {
            at = behind_name(message, at)?;
            let fixed = message.get(at..)?.first_chunk::<FIXED_LEN>()?;
            if RecordType(u16::from_be_bytes([fixed[0], fixed[1]])) == RecordType::CNAME {
                return Some(true);
            }
            at += FIXED_LEN + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        }
        Some(false)
    };
    find().unwrap_or(false)
}

/// Whether the answer section of `message` is empty, and not because it was cut.
pub fn answers_nothing(message: &[u8]) -> bool {
    let [_, _, flags, _, _, _, high, low, ..] = message else {
        return false;
    };
    let is_cut = u16::from_be_bytes([*flags, 0]) & TC != 0;
    !is_cut && [*high, *low] == [0, 0]
}

/// Sets the response code of `message` to NOERROR. The upper bits, in an OPT record, have to be zero already.
pub fn clear_rcode(message: &mut [u8]) {
    if let Some(flags) = message.get_mut(3) {
        *flags &= 0xf0;
    }
}

/// Where what follows the name at `at` begins; a pointer ends a name.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    const POINTER: u8 = 0xc0;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            byte if byte >= POINTER => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply to `a.test` with these types in its answer section, each with four octets of data.
    fn reply(types: &[u8]) -> Vec<u8> {
        let count = u8::try_from(types.len()).expect("few");
        let mut message = vec![0, 1, 0x81, 0x83, 0, 1, 0, count, 0, 0, 0, 0];
        message.extend(b"\x01a\x04test\0\0\x0f\0\x01");
        for record_type in types {
            message.extend([
                0xc0,
                12,
                0,
                *record_type,
                0,
                1,
                0,
                0,
                0,
                60,
                0,
                4,
                1,
                2,
                3,
                4,
            ]);
        }
        message
    }

    #[test]
    fn finds_an_alias_wherever_it_stands_in_the_answer() {
        assert!(!answers_with_alias(&reply(&[])));
        assert!(!answers_with_alias(&reply(&[15, 15])));
        assert!(answers_with_alias(&reply(&[5, 15])));
        assert!(answers_with_alias(&reply(&[46, 5])));
        assert!(!answers_with_alias(&reply(&[5])[..30]));
    }

    #[test]
    fn clears_the_response_code_and_no_flag() {
        let mut message = reply(&[]);
        clear_rcode(&mut message);
        assert_eq!(message[..4], [0, 1, 0x81, 0x80]);
    }
}
