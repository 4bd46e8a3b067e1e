#!/bin/sh
# Turns a bootstrapped Debian into what a node boots from. Run under fakeroot: finish.sh WORK RELEASE KIND
# WORK has os.tar and guest/; WORK/entry gets rootfs.ext4, vmlinuz, initrd.img and packages.
set -eu
umask 022
work=$1 release=$2 kind=$3
cd "$work"
root=$work/root
entry=$work/entry
mkdir "$root"
tar -C "$root" -xpf os.tar
rm os.tar
# The bootstrap leaves device nodes out, the folder with them.
mkdir -p "$root/dev"

cp "$root"/boot/vmlinuz-* "$entry/vmlinuz"
cp "$root"/boot/initrd.img-* "$entry/initrd.img"
sed -n '/^Package: /{s///;h};/^Version: /{s///;H;x;s/\n/ /;p}' "$root/var/lib/dpkg/status" | sort >"$entry/packages"

lab=$root/usr/local/lib/stead-lab
units=$root/usr/local/lib/systemd/system
for script in boot clock outofband; do
    install -D -m 755 "guest/$script" "$lab/$script"
done
for unit in stead-lab-boot.service stead-lab-clock.service; do
    install -D -m 644 "guest/$unit" "$units/$unit"
done
mkdir -p "$units/sysinit.target.wants"
ln -s ../stead-lab-boot.service "$units/sysinit.target.wants/"
install -D -m 644 guest/autologin.conf "$units/serial-getty@ttyS0.service.d/autologin.conf"
install -D -m 644 guest/70-stead-lab.rules "$root/usr/local/lib/udev/rules.d/70-stead-lab.rules"
install -D -m 644 guest/00-stead-lab.network "$root/usr/local/lib/systemd/network/00-stead-lab.network"

# The sshd of Debian 12 does not know the word and would not start.
if grep -q PerSourcePenalties "$root/usr/sbin/sshd"; then
    install -D -m 644 guest/sshd.conf "$root/etc/ssh/sshd_config.d/stead-lab.conf"
fi

# Masks the units listed in the file $1 that this image has.
mask() {
    sed '/^#/d;/^$/d' "$1" | while read -r unit; do
        if [ -e "$root/usr/lib/systemd/system/$unit" ] || [ -e "$root/lib/systemd/system/$unit" ]; then
            ln -sfn /dev/null "$root/etc/systemd/system/$unit"
        fi
    done
}
mask guest/mask-always
if [ "$kind" = ready ]; then
    mask guest/mask-ready
fi

# Nodes boot from the one that lies beside the image, and to make another one, as cryptsetup's installation does, takes
# minutes without KVM.
conf=$root/etc/initramfs-tools/update-initramfs.conf
sed -i 's/^update_initramfs=.*/update_initramfs=no/' "$conf"
grep -qx update_initramfs=no "$conf"

# Debian 13 has a hundred AppArmor profiles, nearly all for programs that are not installed here. Each is compiled on a
# node's first boot: a minute without KVM. Profiles for what is installed stay, and so does all of AppArmor.
for profile in "$root"/etc/apparmor.d/*; do
    program=${profile##*/}
    case $program in
    usr.* | lsb_release | unix-chkpwd | unprivileged_userns) continue ;;
    esac
    if [ -f "$profile" ] && [ ! -e "$root/usr/bin/$program" ] && [ ! -e "$root/usr/sbin/$program" ]; then
        mkdir -p "$root/etc/apparmor.d/disable"
        ln -s "/etc/apparmor.d/$program" "$root/etc/apparmor.d/disable/$program"
    fi
done

cat >"$root/etc/apt/sources.list" <<END
deb http://deb.debian.org/debian $release main non-free-firmware
deb http://deb.debian.org/debian-security $release-security main non-free-firmware
deb http://deb.debian.org/debian $release-updates main non-free-firmware
END
rm -rf "$root"/etc/apt/sources.list.d/*
# The bootstrap's lists are of the mirror it used, and mostly out of date when a node reads them.
rm -rf "$root"/var/lib/apt/lists/*

# What each node must have of its own, or must not have of the host that built this.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/systemd/random-seed"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
ln -s /etc/machine-id "$root/var/lib/dbus/machine-id"

# Says that what follows from /usr is up to date; else each node's first boot works it all out again.
touch "$root/etc/.updated" "$root/var/.updated"


cd "$entry"
truncate -s 10G rootfs.ext4
mke2fs -q -t ext4 -F -L stead-os -d "$root" rootfs.ext4
chmod 444 rootfs.ext4 vmlinuz initrd.img packages
rm -rf "$root"
