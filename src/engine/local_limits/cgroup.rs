//! Where Linux tells the limits of the control groups that a process is in.

use std::path::{Path, PathBuf};

/// The folders of the groups that count the threads of a process, its own first and then those above it: of the unified
/// hierarchy (v2), and of the controller `pids` (v1). `groups` is the text of `/proc/self/cgroup`, `mounts` that of
/// `/proc/self/mountinfo`.
///
/// Where the process's group lies outside of what is mounted, as in a container, the mount point stands for it.
pub(super) fn folders(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|controller| controller == "pids") {
            continue;
        }
        let mounted = mounts.lines().filter_map(Mount::of);
        if let Some(mount) = mounted.into_iter().find(|mount| match is_v2 {
            true => mount.kind == "cgroup2",
            false => mount.kind == "cgroup" && mount.options.split(',').any(|option| option == "pids"),
        }) {
            folders.extend(mount.up_from(group));
        }
    }
    folders
}

/// A line of `/proc/self/mountinfo`: `36 35 98:0 /root /point rw - kind source options`, where optional fields stand before
/// the dash.
struct Mount<'t> {
    root: &'t str,
    point: &'t str,
    kind: &'t str,
    options: &'t str,
}

impl<'t> Mount<'t> {
    fn of(line: &'t str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        Some(Mount {
            root: before.next()?,
            point: before.next()?,
            kind: after.next()?,
            options: after.nth(1).unwrap_or(""),
        })
    }

    /// The folders from that of `group` up to the mount point.
    fn up_from(&self, group: &str) -> Vec<PathBuf> {
        let point = Path::new(self.point);
        let inside = Path::new(group).strip_prefix(self.root).unwrap_or(Path::new(""));
        let is_outside = inside.components().any(|part| part.as_os_str() == "..");
        let inside = if is_outside { Path::new("") } else { inside };
        inside.ancestors().map(|part| point.join(part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn check(groups: &str, mounts: &str, expected: &[&str]) {
        let found = folders(groups, mounts);
        assert_eq!(
            found,
            expected.iter().map(PathBuf::from).collect::<Vec<_>>(),
            "{groups}"
        );
    }

    #[test]
    fn the_unified_hierarchy_is_walked_up_to_where_it_is_mounted() {
        check(
            "0::/user.slice/user-1000.slice/session-2.scope\n",
            V2,
            &[
                "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope",
                "/sys/fs/cgroup/user.slice/user-1000.slice",
                "/sys/fs/cgroup/user.slice",
                "/sys/fs/cgroup/",
            ],
        );
    }

    #[test]
    fn in_a_container_the_mount_point_is_the_process_s_group() {
        check("0::/\n", V2, &["/sys/fs/cgroup/"]);
        // Without a namespace of its own: the mount begins at the container's group, or the group is seen from there.
        let docker = "35 23 0:30 /docker/4f1c /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n";
        check("8:pids:/docker/4f1c\n", docker, &["/sys/fs/cgroup/pids/"]);
        check(
            "8:pids:/docker/4f1c/job\n",
            docker,
            &["/sys/fs/cgroup/pids/job", "/sys/fs/cgroup/pids/"],
        );
        check("8:pids:/elsewhere\n", docker, &["/sys/fs/cgroup/pids/"]);
        check("0::/../../other\n", V2, &["/sys/fs/cgroup/"]);
    }

    #[test]
    fn of_separate_hierarchies_that_of_the_controller_counts() {
        let mounts = "31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n\
                      32 30 0:28 / /sys/fs/cgroup/pids rw shared:10 - cgroup cgroup rw,pids\n\
                      33 30 0:29 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw\n";
        check(
            "9:cpu,cpuacct:/a\n8:pids:/b\n0::/c\n",
            mounts,
            &[
                "/sys/fs/cgroup/pids/b",
                "/sys/fs/cgroup/pids/",
                "/sys/fs/cgroup/unified/c",
                "/sys/fs/cgroup/unified/",
            ],
        );
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        check("", V2, &[]);
        check("0::/a\n", "", &[]);
        check("nonsense\n8:pids\n", V2, &[]);
        check("0::/a\n", "36 35\n - \n1 2 3 / /x - cgroup2\n", &["/x/a", "/x/"]);
    }
}
