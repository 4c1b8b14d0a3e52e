//! What an ended session needs no longer once its output is old: all but its last screen. Done in steps, between and in any
//! of which a worker may be killed: the last screen is there at each.

use super::Picture;
use crate::region::Region;

/// Leaves of an ended session, fed to its end, its last screen alone, and puts that away. `clear` is called with bytes that
/// nobody needs: zeros may stand there from then on. False: the screen could not be kept without its output, which is still
/// there. Twice is harmless.
pub fn keep_last_screen<R: AsRef<[u8]> + AsMut<[u8]>, M: AsRef<[u8]> + AsMut<[u8]>>(
    region: &mut Region<R>,
    picture: &mut Picture<M>,
    mut clear: impl FnMut(&mut [u8]),
) -> bool {
    if !picture.is_last {
        if picture.is_behind(region) || !picture.drop_scrollback() {
            return false;
        }
        region.give_up();
        clear(region.given_up_bytes());
        picture.drop_unused(&mut clear);
        picture.is_last = true;
    }
    picture.put_away();
    true
}
