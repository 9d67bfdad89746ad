//! The disk as a file system of SQLite. Locks and shared memory are kept beside it: they do not survive anything.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use parking_lot::Mutex;
use rusqlite::ffi;

use crate::disk::{Disk, DiskFile};

/// Locks of the shared memory.
const SHM_LOCKS: usize = 8;

/// What connections to one file share besides its content.
#[derive(Default)]
struct Shared {
    /// Each handle's level of lock.
    levels: HashMap<u64, c_int>,
    regions: Vec<Box<[u64]>>,
    /// Per lock: who holds it shared, and who alone.
    shm: [(Vec<u64>, Option<u64>); SHM_LOCKS],
}

struct Volume {
    disk: Arc<Disk>,
    shared: Mutex<HashMap<String, Arc<Mutex<Shared>>>>,
    handles: AtomicU64,
}

struct Handle {
    id: u64,
    volume: &'static Volume,
    file: Arc<Mutex<DiskFile>>,
    shared: Arc<Mutex<Shared>>,
}

#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

/// Registers a disk as a file system; gives its name. Both stay for the life of the process.
pub(crate) fn register(disk: Arc<Disk>) -> &'static str {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("power-loss-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    let c_name = Box::leak(CString::new(name.clone()).unwrap().into_boxed_c_str());
    let volume: &'static Volume =
        Box::leak(Box::new(Volume { disk, shared: Mutex::default(), handles: AtomicU64::new(1) }));
    // SAFETY: all pointers are to leaked memory; the callbacks keep SQLite's contract.
    unsafe {
        let system = ffi::sqlite3_vfs_find(ptr::null());
        let vfs = ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size_of::<File>() as c_int,
            mxPathname: 512,
            pNext: ptr::null_mut(),
            zName: c_name.as_ptr(),
            pAppData: ptr::from_ref(volume).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            ..*system
        };
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0), ffi::SQLITE_OK);
    }
    Box::leak(name.into_boxed_str())
}

/// Forgets locks and shared memory, as a restart does. No connection may be open.
pub(crate) fn restart(name: &'static str) {
    let c_name = CString::new(name).unwrap();
    // SAFETY: the name was registered by `register`, with a volume as its data.
    let volume = unsafe { volume(ffi::sqlite3_vfs_find(c_name.as_ptr())) };
    volume.shared.lock().clear();
}

unsafe fn volume(vfs: *mut ffi::sqlite3_vfs) -> &'static Volume {
    // SAFETY: `register` put it there.
    unsafe { &*(*vfs).pAppData.cast::<Volume>() }
}

unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: `open` put it there, and SQLite closes a file once.
    unsafe { &*(*file.cast::<File>()).handle }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over its own pointers; `file` has `szOsFile` bytes.
    unsafe {
        let volume = volume(vfs);
        (*file).pMethods = ptr::null();
        if volume.disk.is_off() {
            return ffi::SQLITE_CANTOPEN;
        }
        let id = volume.handles.fetch_add(1, Ordering::SeqCst);
        let name = if name.is_null() {
            format!("temporary-{id}")
        } else {
            CStr::from_ptr(name).to_string_lossy().into_owned()
        };
        let mut files = volume.disk.files.lock();
        if !files.contains_key(&name) && flags & ffi::SQLITE_OPEN_CREATE == 0 {
            return ffi::SQLITE_CANTOPEN;
        }
        let content = Arc::clone(files.entry(name.clone()).or_default());
        let shared = Arc::clone(volume.shared.lock().entry(name).or_default());
        let handle = Box::new(Handle { id, volume, file: content, shared });
        (*file.cast::<File>()).handle = Box::into_raw(handle);
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, _sync: c_int) -> c_int {
    // SAFETY: SQLite's own pointers.
    unsafe {
        let volume = volume(vfs);
        if !volume.disk.operate() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        volume.disk.files.lock().remove(&*CStr::from_ptr(name).to_string_lossy());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's own pointers.
    unsafe {
        let exists = volume(vfs).disk.files.lock().contains_key(&*CStr::from_ptr(name).to_string_lossy());
        *result = c_int::from(exists);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `out` has `length` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > length as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made the handle, and SQLite closes a file once.
    unsafe {
        let handle = Box::from_raw((*file.cast::<File>()).handle);
        handle.shared.lock().levels.remove(&handle.id);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `out` has `amount` bytes.
    unsafe {
        let handle = handle(file);
        if handle.volume.disk.is_off() {
            return ffi::SQLITE_IOERR_READ;
        }
        let content = handle.file.lock();
        let out = std::slice::from_raw_parts_mut(out.cast::<u8>(), amount as usize);
        let there = content.now.get(offset as usize..).unwrap_or_default();
        let length = there.len().min(out.len());
        out[..length].copy_from_slice(&there[..length]);
        out[length..].fill(0);
        if length < out.len() { ffi::SQLITE_IOERR_SHORT_READ } else { ffi::SQLITE_OK }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `from` has `amount` bytes.
    unsafe {
        let handle = handle(file);
        let mut content = handle.file.lock();
        if !handle.volume.disk.operate() {
            return ffi::SQLITE_IOERR_WRITE;
        }
        content.write(offset as usize, std::slice::from_raw_parts(from.cast::<u8>(), amount as usize));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    let mut content = handle.file.lock();
    if !handle.volume.disk.operate() {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    content.truncate(size as usize);
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    let mut content = handle.file.lock();
    if !handle.volume.disk.operate() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if !handle.volume.disk.ignores_syncs {
        content.sync();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: SQLite's own pointers.
    unsafe { *size = handle(file).file.lock().now.len() as i64 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    let mut shared = handle.shared.lock();
    let others =
        shared.levels.iter().filter(|(id, _)| **id != handle.id).map(|(_, level)| *level).max().unwrap_or(0);
    let allowed = match level {
        ffi::SQLITE_LOCK_SHARED => others < ffi::SQLITE_LOCK_PENDING,
        ffi::SQLITE_LOCK_RESERVED => others < ffi::SQLITE_LOCK_RESERVED,
        _ => others < ffi::SQLITE_LOCK_SHARED,
    };
    if !allowed {
        return ffi::SQLITE_BUSY;
    }
    let held = shared.levels.entry(handle.id).or_default();
    *held = level.max(*held);
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    handle.shared.lock().levels.insert(handle.id, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    // SAFETY: SQLite's own pointers.
    unsafe {
        let shared = handle(file).shared.lock();
        *result = c_int::from(shared.levels.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_file: *mut ffi::sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // As the real one: a torn write damages nothing but what it writes.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the regions never move while a connection is open.
    unsafe {
        let mut shared = handle(file).shared.lock();
        while extend != 0 && shared.regions.len() <= region as usize {
            shared.regions.push(vec![0_u64; size as usize / 8].into_boxed_slice());
        }
        *out = shared
            .regions
            .get_mut(region as usize)
            .map_or(ptr::null_mut(), |region| region.as_mut_ptr().cast());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    let mut shared = handle.shared.lock();
    let locks = &mut shared.shm[first as usize..(first + count) as usize];
    let me = handle.id;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        for (sharing, alone) in locks {
            if flags & ffi::SQLITE_SHM_SHARED != 0 {
                sharing.retain(|id| *id != me);
            } else if *alone == Some(me) {
                *alone = None;
            }
        }
        return ffi::SQLITE_OK;
    }
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    let free = locks.iter().all(|(sharing, alone)| {
        alone.is_none_or(|id| id == me) && (!exclusive || sharing.iter().all(|id| *id == me))
    });
    if !free {
        return ffi::SQLITE_BUSY;
    }
    for (sharing, alone) in locks {
        if exclusive { *alone = Some(me) } else { sharing.push(me) }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: SQLite's own file.
    let handle = unsafe { handle(file) };
    for (sharing, alone) in &mut handle.shared.lock().shm {
        sharing.retain(|id| *id != handle.id);
        alone.take_if(|id| *id == handle.id);
    }
    ffi::SQLITE_OK
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
