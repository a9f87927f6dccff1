use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps what is in this process's memory there: no core dumps, and no other process of the same
/// user may look into it (`PR_SET_DUMPABLE`, Linux). Root still may, and memory may be swapped out.
///
/// # Errors
/// What the system says when it does not let a process do that.
pub fn refuse_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_crash_leaves_no_copy_of_the_keys_on_the_disk() {
        refuse_dumps().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limits = fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
}
