//! Lists that mostly hold one or two, of which there is one for each session or room.

/// Below so many a list is as large as what is in it: a vector's first growth makes room for four.
const FEW: usize = 4;

/// Adds an item.
pub fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < FEW {
        list.reserve_exact(1);
    }
    list.push(item);
}
