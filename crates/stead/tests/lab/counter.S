// A machine for tests that starts in a second, even where its processor is translated twice: a boot sector that counts.
//
// On its disk, behind it: sector 1 holds how far it has counted, and how often it was started (two numbers of 32 bits). It
// counts on about nine times a second; a number is written before the next one. If sector 1 isn't what it wrote, somebody
// else writes there too: then it writes sector 2, and stops.

	.code16
	.intel_syntax noprefix
	.globl	_start

	.set	TICKS, 0x46c		// The BIOS's clock: 18 ticks a second.
	.set	OWN, 0x8000		// Sector 1 as it is written,
	.set	READ, 0x8200		// and as it was read.

_start:
	xor	ax, ax
	mov	ds, ax
	mov	es, ax
	mov	ss, ax
	mov	sp, 0x7c00
	sti
	mov	[drive], dl
	mov	ah, 0x42
	call	disk
	inc	dword ptr [OWN + 4]
again:
	inc	dword ptr [OWN]
	mov	ax, 0x4300
	call	disk
	mov	bx, [TICKS]
wait:
	hlt
	mov	ax, [TICKS]
	sub	ax, bx
	cmp	ax, 2
	jb	wait
	mov	word ptr [buffer], READ
	mov	ah, 0x42
	call	disk
	mov	word ptr [buffer], OWN
	mov	eax, [OWN]
	cmp	eax, [READ]
	jne	twice
	mov	eax, [OWN + 4]
	cmp	eax, [READ + 4]
	je	again
twice:
	mov	word ptr [sector], 2
	mov	ax, 0x4300
	call	disk
end:
	hlt
	jmp	end

// Reads (0x42) or writes (0x43) a sector, until it is done.
disk:
	push	ax
	mov	dl, [drive]
	mov	si, offset packet
	int	0x13
	pop	ax
	jc	disk
	ret

packet:
	.byte	16, 0
	.word	1
buffer:
	.word	OWN, 0
sector:
	.quad	1
drive:
	.byte	0

	.org	510
	.word	0xaa55
	.org	1536
