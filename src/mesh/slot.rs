/// The number of an object, given out again when the object goes.
pub(crate) type Slot = u32;
