//! Disks that fail as disks do: full, or no longer writable. Mounting takes root's rights.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::process::run;

/// A disk in memory.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// A disk of `size` (`6m`) at `at`; `None` without the right to mount one.
    pub(crate) fn at(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a directory of ours");
        let size = format!("size={size}");
        let mut mount = Command::new("mount");
        let mounted = run(mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at), b"");
        (mounted.code == Some(0)).then(|| Self { at: at.to_owned() })
    }

    /// Gives it another size.
    #[track_caller]
    pub(crate) fn resize(&self, size: &str) {
        assert!(self.try_resize(size), "{} gets the size {size}", self.at.display());
    }

    /// Leaves it the room that is used, to the last page.
    #[track_caller]
    pub(crate) fn fill(&self) {
        // A disk cannot be made smaller than what is on it: the first size that it takes is full.
        let fits = (1..50_000).map(|page| format!("{}k", page * 4));
        let used = super::size_of(&self.at) / 4096;
        let mut sizes = fits.skip(usize::try_from(used).unwrap_or_default());
        assert!(sizes.any(|size| self.try_resize(&size)), "{} can be filled", self.at.display());
    }

    fn try_resize(&self, size: &str) -> bool {
        let size = format!("remount,size={size}");
        run(Command::new("mount").args(["-o", &size]).arg(&self.at), b"").code == Some(0)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// A directory that cannot be written, for as long as this lives.
pub(crate) struct ReadOnly {
    at: PathBuf,
}

impl ReadOnly {
    /// Makes `at` read-only, also for root; `None` without the right to mount.
    pub(crate) fn at(at: &Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            run(Command::new("mount").args(arguments).arg(at).arg(at), b"").code == Some(0)
        };
        if !mount(&["--bind"]) {
            return None;
        }
        let this = Self { at: at.to_owned() };
        let remount = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(at).status();
        remount.is_ok_and(|status| status.success()).then_some(this)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

fn unmount(at: &Path) {
    run(Command::new("umount").arg("--lazy").arg(at), b"");
}
