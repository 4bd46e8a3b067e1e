#!/bin/sh
# HEADER
# Builds a disk with Debian on it: `build-image SUITE DISK PACKAGE…`. It boots by BIOS and by UEFI, and its cloud-init makes it
# whatever machine it is in. Its packages come from where this node's come from.
set -eu
suite=$1 disk=$2
shift 2
work=$(mktemp --directory --tmpdir=/var/tmp stead-image.XXXXXXXXXX)
root=$work/root loop=

tidy() {
	for at in dev proc sys boot/efi .; do
		if mountpoint --quiet "$root/$at"; then umount "$root/$at"; fi
	done
	if [ -n "$loop" ]; then losetup --detach "$loop"; fi
	rm --recursive --force --one-file-system "$work"
}
trap tidy EXIT
trap 'exit 1' HUP INT TERM

# Where this node's packages come from, for that release.
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' | sort --unique |
	while read -r uri codename; do
		case $codename in
		"$own" | "$own-updates" | "$own-security")
			echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite${codename#"$own"} main"
			;;
		esac
	done >"$work/sources"
eval "$(apt-config shell proxy Acquire::http::Proxy)"
packages=linux-image-cloud-amd64,grub-pc-bin,grub-efi-amd64-bin,grub2-common,systemd-sysv,systemd-resolved,dbus
packages=$packages,udev,kmod,e2fsprogs,dosfstools,fdisk,cloud-init,cloud-guest-utils,netplan.io,openssh-server,sudo
packages=$packages,qemu-guest-agent,ca-certificates,iproute2,iputils-ping,less,locales,tzdata,unattended-upgrades,nano
for package in "$@"; do packages=$packages,$package; done

truncate --size=3G "$work/disk"
sfdisk --quiet "$work/disk" <<'END'
label: gpt
size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=bios
size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
END
loop=$(losetup --find --show --partscan "$work/disk")
udevadm settle
mkfs.vfat -n ESP "${loop}p2" >/dev/null
mkfs.ext4 -q -L root "${loop}p3"
mkdir "$root"
mount "${loop}p3" "$root"
mmdebstrap --quiet --mode=root --variant=apt --include="$packages" \
	${proxy:+--aptopt="Acquire::http::Proxy \"$proxy\""} --skip=check/empty "$suite" "$root" "$work/sources"

mkdir --parents "$root/boot/efi"
mount "${loop}p2" "$root/boot/efi"
cat >"$root/etc/fstab" <<'END'
LABEL=root / ext4 errors=remount-ro 0 1
LABEL=ESP /boot/efi vfat umask=0077,nofail 0 1
END
cat >"$root/etc/default/grub" <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="console serial"
END
for at in dev proc sys; do mount --bind "/$at" "$root/$at"; done
chroot "$root" grub-install --target=i386-pc "$loop"
chroot "$root" grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram
chroot "$root" update-grub
# What every machine has of its own.
rm --force "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id"
ln --symbolic ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
echo 'datasource_list: [NoCloud, None]' >"$root/etc/cloud/cloud.cfg.d/90-stead.cfg"
for at in dev proc sys boot/efi .; do umount "$root/$at"; done
losetup --detach "$loop"
loop=
qemu-img convert -O qcow2 "$work/disk" "$disk"
