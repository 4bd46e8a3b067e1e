#!/bin/sh
# HEADER
# What starts, stops and moves a machine for pacemaker: Debian's agent for libvirt (ocf:heartbeat:VirtualDomain), and what that
# one leaves out:
#  - A machine that an I/O error has paused would count as running, and stay so. Its writes are tried again; if they fail,
#    it is started anew. Whose it is is not in doubt then: this node is among most, else its watchdog would have reset it.
#  - A paused machine hears no shutdown, so nobody waits for it.
#  - The machine isn't given all of the time that a stop may take: what then switches it off needs some, for pacemaker
#    resets a node that can't stop something.
# All that the agent wants to know is said here. Were it said in pacemaker's configuration, each change of it would restart
# machines.

LC_ALL=C
# It goes by what it is called.
OCF_RESOURCE_PROVIDER=heartbeat
OCF_RESOURCE_TYPE=VirtualDomain
OCF_RESKEY_config=/etc/stead/machines/$OCF_RESOURCE_INSTANCE.xml
OCF_RESKEY_hypervisor=qemu:///system
# From daemon to daemon, in the core, never in clear, and slowed down if it writes faster than the network carries.
OCF_RESKEY_migration_transport=tls
OCF_RESKEY_migration_network_suffix=.core
OCF_RESKEY_migrateuri=tcp://%n
OCF_RESKEY_migrate_options='--p2p --tls --auto-converge'
# Else it writes what a machine has into pacemaker's configuration, each time it looks.
OCF_RESKEY_autoset_utilization_cpu=false
OCF_RESKEY_autoset_utilization_host_memory=false
OCF_RESKEY_autoset_utilization_hv_memory=false
export LC_ALL OCF_RESOURCE_PROVIDER OCF_RESOURCE_TYPE OCF_RESKEY_config OCF_RESKEY_hypervisor OCF_RESKEY_migration_transport \
	OCF_RESKEY_migration_network_suffix OCF_RESKEY_migrateuri OCF_RESKEY_migrate_options \
	OCF_RESKEY_autoset_utilization_cpu OCF_RESKEY_autoset_utilization_host_memory \
	OCF_RESKEY_autoset_utilization_hv_memory

AGENT=${OCF_ROOT:-/usr/lib/ocf}/resource.d/heartbeat/VirtualDomain
# Seconds that a stop may take beside the machine's own.
SPARE=60

virsh() {
	timeout "$SPARE" virsh --connect "$OCF_RESKEY_hypervisor" --quiet "$@"
}

# Why it is paused, if it is: `paused (I/O error)`.
is() {
	case $(virsh domstate --reason "$OCF_RESOURCE_INSTANCE" 2>&1) in
	*"$1"*) return 0 ;;
	*) return 1 ;;
	esac
}

monitor() {
	"$AGENT" monitor || return
	is 'paused (I/O error)' || return 0
	# Somebody only asks whether it is here: its owner may be another node by now.
	[ "${OCF_RESKEY_CRM_meta_interval:-0}" != 0 ] || return 0
	echo "$OCF_RESOURCE_INSTANCE was paused by an I/O error: it is told to go on" >&2
	virsh resume "$OCF_RESOURCE_INSTANCE"
	for _ in 1 2 3 4 5; do
		sleep 1
		if is 'paused (I/O error)'; then
			echo "ocf-exit-reason:its disks can't be written or read" >&2
			return 1
		fi
	done
}

case $1 in
meta-data)
	"$AGENT" meta-data | sed 's/name="VirtualDomain"/name="machine"/'
	;;
monitor | status)
	monitor
	;;
stop)
	if is 'paused ('; then
		virsh destroy "$OCF_RESOURCE_INSTANCE"
	fi
	# The agent leaves 5 seconds of it.
	OCF_RESKEY_CRM_meta_timeout=$((OCF_RESKEY_CRM_meta_timeout - (SPARE - 5) * 1000))
	export OCF_RESKEY_CRM_meta_timeout
	"$AGENT" stop
	;;
*)
	"$AGENT" "$@"
	;;
esac
